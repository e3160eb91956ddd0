// Go's net/http: jobs a line in, answers a line out (see client-programs.ts). The flavour is its answer to a HelloRequest.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answers, err := run(strings.Split(lines.Text(), "\t"))
		if err != nil {
			answers = []string{"error", base64.StdEncoding.EncodeToString([]byte(err.Error()))}
		}
		fmt.Println(strings.Join(answers, "\t"))
	}
}

func run(job []string) ([]string, error) {
	flavour, url, root, chain, key, version, bodyFile := job[0], job[1], job[2], job[3], job[4], job[6], job[7]
	pem, err := os.ReadFile(root)
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(bodyFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	config := &tls.Config{RootCAs: roots}
	switch version {
	case "1.2":
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	case "1.3":
		config.MinVersion = tls.VersionTLS13
	}
	if flavour == "RenegotiateOnceAsClient" {
		config.Renegotiation = tls.RenegotiateOnceAsClient
	}
	if chain != "-" {
		certificate, err := tls.LoadX509KeyPair(chain, key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	answers := []string{"ok"}
	for _, one := range strings.Split(job[8], ",") {
		method, path, _ := strings.Cut(one, " ")
		var sent io.Reader
		if method == "POST" {
			sent = bytes.NewReader(body)
		}
		request, err := http.NewRequest(method, url+path, sent)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		taken, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			return nil, err
		}
		told := func(name string) string {
			if value := response.Header.Get(name); value != "" {
				return value
			}
			return "-"
		}
		text := base64.StdEncoding.EncodeToString(taken)
		answers = append(answers, fmt.Sprintf("%d %s %s %s", response.StatusCode, told("X-Request-Id"), told("X-Dsmapper-Verdict"), text))
	}
	return answers, nil
}
