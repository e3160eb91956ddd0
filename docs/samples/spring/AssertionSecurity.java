// Spring Security 6 or 7 (spring-boot-starter-oauth2-resource-server). Not run in our tests: see docs/assertion.md.
// Needs `identity.assertion.algorithm: ES256`: Spring Security knows no EdDSA.
package com.example.payroll;

import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.config.http.SessionCreationPolicy;
import org.springframework.security.core.GrantedAuthority;
import org.springframework.security.core.authority.SimpleGrantedAuthority;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2Error;
import org.springframework.security.oauth2.core.OAuth2TokenValidator;
import org.springframework.security.oauth2.core.OAuth2TokenValidatorResult;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationConverter;
import org.springframework.security.oauth2.server.resource.authentication.JwtAuthenticationToken;
import org.springframework.security.oauth2.server.resource.web.authentication.BearerTokenAuthenticationFilter;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.filter.OncePerRequestFilter;

@Configuration
class AssertionSecurity {
  private static final String TYPE = "dsmapper+jwt";

  @Bean
  SecurityFilterChain assertions(HttpSecurity http, JwtDecoder decoder) throws Exception {
    var converter = new JwtAuthenticationConverter();
    converter.setPrincipalClaimName("name");
    converter.setJwtGrantedAuthoritiesConverter(AssertionSecurity::authorities);
    return http
        .authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .sessionManagement(session -> session.sessionCreationPolicy(SessionCreationPolicy.STATELESS))
        .oauth2ResourceServer(server -> server
            .bearerTokenResolver(request -> request.getHeader("X-DSMapper-Assertion"))
            .jwt(jwt -> jwt.decoder(decoder).jwtAuthenticationConverter(converter)))
        .addFilterAfter(new CertificateBinding(), BearerTokenAuthenticationFilter.class)
        .build();
  }

  /** The key set is kept for five minutes (less than `overlap`); an unknown kid fetches it again. */
  @Bean
  JwtDecoder decoder(
      @Value("${assertion.jwks}") String jwks,
      @Value("${assertion.issuer}") String issuer,
      @Value("${assertion.audience}") String audience) {
    var decoder = NimbusJwtDecoder.withJwkSetUri(jwks)
        .jwsAlgorithm(SignatureAlgorithm.ES256)
        // Where it is Nimbus that looks at types, it would take `JWT` alone.
        .jwtProcessorCustomizer(processor ->
            processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType(TYPE))))
        .build();
    decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(
        new JwtTimestampValidator(Duration.ofSeconds(5)),
        demand("typ", jwt -> TYPE.equals(jwt.getHeaders().get("typ"))),
        demand("iss", jwt -> issuer.equals(jwt.getClaimAsString("iss"))),
        demand("aud", jwt -> List.of(audience).equals(jwt.getAudience())),
        demand("exp", jwt -> jwt.getExpiresAt() != null && jwt.getNotBefore() != null),
        demand("sub", jwt -> jwt.getSubject() != null)));
    return decoder;
  }

  private static OAuth2TokenValidator<Jwt> demand(String what, Predicate<Jwt> holds) {
    return jwt -> holds.test(jwt)
        ? OAuth2TokenValidatorResult.success()
        : OAuth2TokenValidatorResult.failure(new OAuth2Error("invalid_token", what + " is not as it should be", null));
  }

  /** Groups by SID, as `hasAuthority("S-1-5-21-...")`. */
  private static Collection<GrantedAuthority> authorities(Jwt jwt) {
    var groups = jwt.getClaimAsStringList("groups");
    return groups == null ? List.of() : List.copyOf(groups.stream().map(SimpleGrantedAuthority::new).toList());
  }

  /** Where the location also has the dialect rfc9440: the certificate must be the one that the assertion is about (RFC 8705 section 3.1). */
  private static final class CertificateBinding extends OncePerRequestFilter {
    @Override
    protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
        throws ServletException, IOException {
      var header = request.getHeader("Client-Cert");
      var who = SecurityContextHolder.getContext().getAuthentication();
      if (header != null && who instanceof JwtAuthenticationToken token && !isAbout(token.getToken(), header)) {
        SecurityContextHolder.clearContext();
        response.sendError(HttpServletResponse.SC_UNAUTHORIZED);
        return;
      }
      chain.doFilter(request, response);
    }

    private static boolean isAbout(Jwt jwt, String header) {
      if (!header.matches(":[A-Za-z0-9+/]+=*:")) return false;
      try {
        var certificate = Base64.getDecoder().decode(header.substring(1, header.length() - 1));
        var digest = MessageDigest.getInstance("SHA-256").digest(certificate);
        Map<String, Object> cnf = jwt.getClaimAsMap("cnf");
        return cnf != null && Base64.getUrlEncoder().withoutPadding().encodeToString(digest).equals(cnf.get("x5t#S256"));
      } catch (IllegalArgumentException | NoSuchAlgorithmException error) {
        return false;
      }
    }
  }
}
