import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.URL;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Base64;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/** Java's HttpClient and HttpsURLConnection: jobs a line in, answers a line out (see client-programs.ts). */
public class Client {
  public static void main(String[] none) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = lines.readLine()) != null;) {
      StringBuilder answers = new StringBuilder("ok");
      try {
        run(line.split("\t"), answers);
      } catch (Exception error) {
        answers = new StringBuilder("error\t" + base64(error.toString().getBytes("UTF-8")));
      }
      System.out.println(answers);
    }
    // The threads of HttpClient live on.
    System.exit(0);
  }

  static void run(String[] job, StringBuilder answers) throws Exception {
    String flavour = job[0], version = job[6];
    byte[] body = Files.readAllBytes(Path.of(job[7]));
    SSLContext context = context(job);
    String[] versions = version.equals("-") ? null : new String[] {"TLSv" + version};
    HttpClient client = null;
    // One for all: it is what kept connections are found by.
    SSLSocketFactory sockets = new OneVersion(context.getSocketFactory(), versions);
    if (flavour.equals("HttpClient")) {
      SSLParameters parameters = context.getDefaultSSLParameters();
      if (versions != null) parameters.setProtocols(versions);
      client = HttpClient.newBuilder().sslContext(context).sslParameters(parameters).build();
    }
    for (String one : job[8].split(",")) {
      String method = one.split(" ")[0], url = job[1] + one.split(" ")[1];
      answers.append('\t');
      if (client == null) answers.append(old(sockets, method, url, body));
      else answers.append(modern(client, method, url, body));
    }
  }

  static String modern(HttpClient client, String method, String url, byte[] body) throws Exception {
    var publisher = method.equals("POST") ? HttpRequest.BodyPublishers.ofByteArray(body) : HttpRequest.BodyPublishers.noBody();
    HttpRequest request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30)).method(method, publisher).build();
    HttpResponse<byte[]> response = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
    var headers = response.headers();
    return answer(response.statusCode(), headers.firstValue("x-request-id").orElse("-"),
        headers.firstValue("x-dsmapper-verdict").orElse("-"), response.body());
  }

  static String old(SSLSocketFactory sockets, String method, String url, byte[] body) throws Exception {
    HttpsURLConnection connection = (HttpsURLConnection) new URL(url).openConnection();
    connection.setSSLSocketFactory(sockets);
    connection.setRequestMethod(method);
    connection.setReadTimeout(30_000);
    if (method.equals("POST")) {
      connection.setDoOutput(true);
      connection.getOutputStream().write(body);
    }
    int status = connection.getResponseCode();
    InputStream stream = status < 400 ? connection.getInputStream() : connection.getErrorStream();
    return answer(status, or(connection.getHeaderField("x-request-id")), or(connection.getHeaderField("x-dsmapper-verdict")),
        stream.readAllBytes());
  }

  static SSLContext context(String[] job) throws Exception {
    KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
    trusted.load(null, null);
    try (InputStream pem = new FileInputStream(job[2])) {
      trusted.setCertificateEntry("root", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    KeyManager[] keys = null;
    if (!job[5].equals("-")) {
      KeyStore own = KeyStore.getInstance("PKCS12");
      try (InputStream file = new FileInputStream(job[5])) {
        own.load(file, "lab".toCharArray());
      }
      KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      factory.init(own, "lab".toCharArray());
      keys = factory.getKeyManagers();
    }
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys, trust.getTrustManagers(), null);
    return context;
  }

  static String answer(int status, String requestId, String verdict, byte[] body) {
    return status + " " + requestId + " " + verdict + " " + base64(body);
  }

  static String or(String value) {
    return value == null ? "-" : value;
  }

  static String base64(byte[] octets) {
    return Base64.getEncoder().encodeToString(octets);
  }
}

/** HttpsURLConnection is told protocols by its sockets. */
class OneVersion extends SSLSocketFactory {
  private final SSLSocketFactory inner;
  private final String[] versions;

  OneVersion(SSLSocketFactory inner, String[] versions) {
    this.inner = inner;
    this.versions = versions;
  }

  private Socket told(Socket socket) {
    if (versions != null) ((SSLSocket) socket).setEnabledProtocols(versions);
    return socket;
  }

  public String[] getDefaultCipherSuites() { return inner.getDefaultCipherSuites(); }
  public String[] getSupportedCipherSuites() { return inner.getSupportedCipherSuites(); }
  public Socket createSocket() throws IOException { return told(inner.createSocket()); }
  public Socket createSocket(Socket s, String host, int port, boolean close) throws IOException {
    return told(inner.createSocket(s, host, port, close));
  }
  public Socket createSocket(String host, int port) throws IOException { return told(inner.createSocket(host, port)); }
  public Socket createSocket(String host, int port, InetAddress own, int ownPort) throws IOException {
    return told(inner.createSocket(host, port, own, ownPort));
  }
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return told(inner.createSocket(host, port));
  }
  public Socket createSocket(InetAddress host, int port, InetAddress own, int ownPort)
      throws IOException {
    return told(inner.createSocket(host, port, own, ownPort));
  }
}
