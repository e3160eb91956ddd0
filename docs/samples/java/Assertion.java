import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.Executors;

/**
 * Checks assertions of the gateway with the JDK (17 or later) and Jackson, and is an application to try it:
 * java -cp /usr/share/java/jackson-databind.jar:/usr/share/java/jackson-core.jar:/usr/share/java/jackson-annotations.jar Assertion.java
 */
public final class Assertion {
  private static final String TYPE = "dsmapper+jwt";
  private static final long LEEWAY = 5;
  private static final int MAXIMUM_TOKEN = 64 << 10;
  private static final ObjectMapper JSON = new ObjectMapper().enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION);

  /** Why a token is not believed. */
  public static final class Refused extends Exception {
    Refused(String why) {
      super(why);
    }
  }

  private record Key(String algorithm, PublicKey key) {
    boolean verifies(byte[] signed, byte[] signature) throws GeneralSecurityException {
      // JWS has r and s side by side (RFC 7518 section 3.4), not in DER.
      var verifier = Signature.getInstance(algorithm.equals("EdDSA") ? "Ed25519" : "SHA256withECDSAinP1363Format");
      verifier.initVerify(key);
      verifier.update(signed);
      try {
        return verifier.verify(signature);
      } catch (java.security.SignatureException malformed) {
        return false;
      }
    }
  }

  /** The gateway's public keys, kept for five minutes (less than `overlap`); an unknown kid fetches again, once a second at most. */
  public static final class KeySet {
    private static final Duration KEEP = Duration.ofMinutes(5);
    private static final Duration COOLDOWN = Duration.ofSeconds(1);
    // SubjectPublicKeyInfo up to the key itself (RFC 8410 section 4, RFC 5480 section 2).
    private static final byte[] ED25519 = HexFormat.of().parseHex("302a300506032b6570032100");
    private static final byte[] P256 =
        HexFormat.of().parseHex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
    private final HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    private final URI address;
    private Map<String, Key> keys = Map.of();
    private long fetched;
    private long tried;
    private boolean everFetched;
    private boolean everTried;

    public KeySet(String address) {
      this.address = URI.create(address);
    }

    synchronized Key key(String kid) throws Refused {
      var now = System.nanoTime();
      var old = !everFetched || now - fetched > KEEP.toNanos();
      if ((old || !keys.containsKey(kid)) && (!everTried || now - tried > COOLDOWN.toNanos())) {
        everTried = true;
        tried = now;
        keys = fetch();
        everFetched = true;
        fetched = now;
      } else if (old) {
        throw new Refused("the key set is too old, and was asked for a moment ago");
      }
      var key = keys.get(kid);
      if (key == null) throw new Refused("no key has this kid");
      return key;
    }

    private Map<String, Key> fetch() throws Refused {
      try {
        var request = HttpRequest.newBuilder(address).timeout(Duration.ofSeconds(5)).build();
        var answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
        if (answer.statusCode() != 200) throw new Refused("the key set was answered with " + answer.statusCode());
        var found = new HashMap<String, Key>();
        for (var jwk : JSON.readTree(answer.body()).path("keys")) {
          var algorithm = jwk.path("alg").asText();
          var x = Base64.getUrlDecoder().decode(jwk.path("x").asText());
          var y = Base64.getUrlDecoder().decode(jwk.path("y").asText());
          if (algorithm.equals("EdDSA") && jwk.path("crv").asText().equals("Ed25519") && x.length == 32)
            found.put(jwk.path("kid").asText(), new Key(algorithm, publicKey("Ed25519", ED25519, x)));
          if (algorithm.equals("ES256") && jwk.path("crv").asText().equals("P-256") && x.length == 32 && y.length == 32)
            found.put(jwk.path("kid").asText(), new Key(algorithm, publicKey("EC", P256, x, y)));
        }
        return found;
      } catch (IOException | GeneralSecurityException | IllegalArgumentException error) {
        throw new Refused("the key set cannot be had: " + error);
      } catch (InterruptedException error) {
        Thread.currentThread().interrupt();
        throw new Refused("interrupted");
      }
    }

    private static PublicKey publicKey(String kind, byte[]... parts) throws GeneralSecurityException {
      var der = new ByteArrayOutputStream();
      for (var part : parts) der.writeBytes(part);
      return KeyFactory.getInstance(kind).generatePublic(new X509EncodedKeySpec(der.toByteArray()));
    }
  }

  private final KeySet keys;
  private final String issuer;
  private final String audience;

  public Assertion(KeySet keys, String issuer, String audience) {
    this.keys = keys;
    this.issuer = issuer;
    this.audience = audience;
  }

  /**
   * @param clientCert the header Client-Cert where the location also has the dialect rfc9440, else null
   * @return the claims
   */
  public JsonNode verify(String token, String clientCert) throws Refused {
    try {
      if (token == null || token.length() > MAXIMUM_TOKEN) throw new Refused("not a token");
      var parts = token.split("\\.", -1);
      if (parts.length != 3) throw new Refused("not a token");
      var header = JSON.readTree(Base64.getUrlDecoder().decode(parts[0]));
      if (!header.path("typ").asText().equals(TYPE)) throw new Refused("another kind of token");
      if (header.has("crit")) throw new Refused("critical extensions are not understood");
      var key = keys.key(header.path("kid").asText());
      // The algorithm is the key's: neither `none` nor anything symmetric can be meant.
      if (!header.path("alg").asText().equals(key.algorithm())) throw new Refused("another algorithm than the key's");
      var signed = (parts[0] + "." + parts[1]).getBytes(StandardCharsets.US_ASCII);
      if (!key.verifies(signed, Base64.getUrlDecoder().decode(parts[2]))) throw new Refused("the signature is wrong");
      var claims = JSON.readTree(Base64.getUrlDecoder().decode(parts[1]));
      checkClaims(claims);
      if (clientCert != null) checkCertificate(claims, clientCert);
      return claims;
    } catch (IOException | GeneralSecurityException | IllegalArgumentException error) {
      throw new Refused("not a token: " + error.getClass().getSimpleName());
    }
  }

  private void checkClaims(JsonNode claims) throws Refused {
    var now = Instant.now().getEpochSecond();
    if (!claims.path("iss").asText().equals(issuer)) throw new Refused("another issuer");
    if (!claims.path("aud").asText().equals(audience)) throw new Refused("meant for somebody else");
    if (!claims.path("exp").isIntegralNumber() || claims.path("exp").asLong() <= now - LEEWAY)
      throw new Refused("expired");
    if (!claims.path("nbf").isIntegralNumber() || claims.path("nbf").asLong() > now + LEEWAY)
      throw new Refused("not valid yet");
    if (claims.path("sub").asText().isEmpty()) throw new Refused("about nobody");
  }

  /** RFC 8705 section 3.1: the certificate must be the one that the assertion is about. */
  private static void checkCertificate(JsonNode claims, String header) throws Refused, GeneralSecurityException {
    if (!header.matches(":[A-Za-z0-9+/]+=*:")) throw new Refused("Client-Cert is not a byte sequence (RFC 9440)");
    var certificate = Base64.getDecoder().decode(header.substring(1, header.length() - 1));
    var digest = MessageDigest.getInstance("SHA-256").digest(certificate);
    var thumbprint = Base64.getUrlEncoder().withoutPadding().encodeToString(digest);
    if (!claims.path("cnf").path("x5t#S256").asText().equals(thumbprint))
      throw new Refused("the assertion is about another certificate");
  }

  public static void main(String[] arguments) throws IOException {
    var env = System.getenv();
    var keys = new KeySet(env.get("ASSERTION_JWKS"));
    var assertion = new Assertion(keys, env.get("ASSERTION_ISSUER"), env.get("ASSERTION_AUDIENCE"));
    var port = Integer.parseInt(env.getOrDefault("PORT", "8080"));
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.createContext("/", exchange -> answer(exchange, assertion));
    server.start();
    System.out.println("listening on " + server.getAddress().getPort());
  }

  private static void answer(HttpExchange exchange, Assertion assertion) throws IOException {
    var headers = exchange.getRequestHeaders();
    var status = 200;
    var body = new byte[0];
    try {
      var claims = assertion.verify(headers.getFirst("X-DSMapper-Assertion"), headers.getFirst("Client-Cert"));
      var who = JSON.createObjectNode();
      who.set("sub", claims.get("sub"));
      who.set("name", claims.get("name"));
      body = JSON.writeValueAsBytes(who);
      exchange.getResponseHeaders().set("content-type", "application/json");
    } catch (Refused refused) {
      System.err.println("refused: " + refused.getMessage());
      status = 401;
    }
    try (exchange) {
      exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
      if (body.length > 0) exchange.getResponseBody().write(body);
    }
  }
}
