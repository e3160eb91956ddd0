// An application behind the gateway, to try assertion.go: go run .
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	verifier := &Verifier{
		Keys:     NewKeySet(os.Getenv("ASSERTION_JWKS")),
		Issuer:   os.Getenv("ASSERTION_ISSUER"),
		Audience: os.Getenv("ASSERTION_AUDIENCE"),
	}
	handler := func(response http.ResponseWriter, request *http.Request) {
		claims, err := verifier.Verify(request.Header.Get("X-DSMapper-Assertion"), request.Header.Get("Client-Cert"))
		if err != nil {
			log.Printf("refused: %v", err)
			response.WriteHeader(http.StatusUnauthorized)
			return
		}
		response.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(response).Encode(map[string]string{"sub": claims.Subject, "name": claims.Name})
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(handler)))
}
