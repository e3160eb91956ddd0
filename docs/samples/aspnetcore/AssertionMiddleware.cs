// ASP.NET Core 8 or later with the package Microsoft.IdentityModel.JsonWebTokens. Not run in our tests: see docs/assertion.md.
// Needs `identity.assertion.algorithm: ES256`: Microsoft.IdentityModel knows no EdDSA.
//
//   var keys = new AssertionKeys(new HttpClient { Timeout = TimeSpan.FromSeconds(5) }, "http://gateway.internal:9090/.well-known/jwks.json");
//   app.UseMiddleware<AssertionMiddleware>(keys, new AssertionRules("gateway.example.test", "payroll"));
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

public sealed record AssertionRules(string Issuer, string Audience);

/// <summary>Lets through who comes with a valid assertion, as HttpContext.User, and answers 401 to everybody else.</summary>
public sealed class AssertionMiddleware(
    RequestDelegate next, AssertionKeys keys, AssertionRules rules, ILogger<AssertionMiddleware> log)
{
    private readonly JsonWebTokenHandler handler = new() { MapInboundClaims = false };

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            var token = context.Request.Headers["X-DSMapper-Assertion"].ToString();
            context.User = new ClaimsPrincipal(await VerifyAsync(token, context.Request.Headers["Client-Cert"]));
        }
        catch (Exception error) when (error is SecurityTokenException or ArgumentException or HttpRequestException
            or JsonException or OperationCanceledException)
        {
            log.LogWarning("refused: {Reason}", error.Message);
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            return;
        }
        await next(context);
    }

    private async Task<ClaimsIdentity> VerifyAsync(string token, string? clientCert)
    {
        var read = handler.ReadJsonWebToken(token);
        var result = await handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidIssuer = rules.Issuer,
            ValidAudience = rules.Audience,
            ValidTypes = ["dsmapper+jwt"],
            // Never from the token, and nothing symmetric.
            ValidAlgorithms = [SecurityAlgorithms.EcdsaSha256],
            IssuerSigningKey = await keys.FindAsync(read.Kid),
            TryAllIssuerSigningKeys = false,
            RequireSignedTokens = true,
            RequireExpirationTime = true,
            ClockSkew = TimeSpan.FromSeconds(5),
            NameClaimType = "name",
            // By SID: User.IsInRole("S-1-5-21-...").
            RoleClaimType = "groups",
        });
        if (!result.IsValid) throw result.Exception;
        if (string.IsNullOrEmpty(read.Subject)) throw new SecurityTokenException("about nobody");
        if (!string.IsNullOrEmpty(clientCert)) CheckCertificate(read, clientCert);
        return result.ClaimsIdentity;
    }

    /// <summary>Where the location also has the dialect rfc9440: the certificate must be the one that the assertion is about (RFC 8705 section 3.1).</summary>
    private static void CheckCertificate(JsonWebToken token, string header)
    {
        var found = Regex.Match(header, @"\A:([A-Za-z0-9+/]+=*):\z");
        if (!found.Success) throw new SecurityTokenException("Client-Cert is not a byte sequence (RFC 9440)");
        byte[] certificate;
        try
        {
            certificate = Convert.FromBase64String(found.Groups[1].Value);
        }
        catch (FormatException)
        {
            throw new SecurityTokenException("Client-Cert is not a byte sequence (RFC 9440)");
        }
        var thumbprint = Base64UrlEncoder.Encode(SHA256.HashData(certificate));
        var confirmed = token.TryGetPayloadValue<JsonElement>("cnf", out var cnf)
            && cnf.TryGetProperty("x5t#S256", out var value) && value.GetString() == thumbprint;
        if (!confirmed) throw new SecurityTokenException("the assertion is about another certificate");
    }
}

/// <summary>The gateway's public keys, kept for five minutes (less than `overlap`); an unknown kid fetches again, once a second at most.</summary>
public sealed class AssertionKeys(HttpClient http, string address)
{
    private static readonly TimeSpan keep = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan cooldown = TimeSpan.FromSeconds(1);
    private readonly SemaphoreSlim gate = new(1);
    private IReadOnlyDictionary<string, SecurityKey> keys = new Dictionary<string, SecurityKey>();
    private long? fetched;
    private long? tried;

    public async Task<SecurityKey> FindAsync(string kid)
    {
        await gate.WaitAsync();
        try
        {
            var now = Environment.TickCount64;
            var old = fetched is null || now - fetched > keep.TotalMilliseconds;
            var may = tried is null || now - tried > cooldown.TotalMilliseconds;
            if ((old || !keys.ContainsKey(kid)) && may)
            {
                tried = now;
                keys = new JsonWebKeySet(await http.GetStringAsync(address)).GetSigningKeys()
                    .Where(key => !string.IsNullOrEmpty(key.KeyId)).ToDictionary(key => key.KeyId);
                fetched = now;
            }
            else if (old)
            {
                throw new SecurityTokenException("the key set is too old, and was asked for a moment ago");
            }
            return keys.TryGetValue(kid, out var found) ? found : throw new SecurityTokenException("no key has this kid");
        }
        finally
        {
            gate.Release();
        }
    }
}
