// Checks assertions of the gateway with the standard library alone (Go 1.19 or later).
package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	tokenType = "dsmapper+jwt"
	// Five minutes: less than the gateway's `overlap`.
	keepKeys = 5 * time.Minute
	// An unknown kid makes us fetch again, but not more often than this.
	fetchCooldown = time.Second
	leeway        = 5 * time.Second
	maximumToken  = 64 << 10
)

// Claims that an application may want; see docs/assertion.md for the others.
type Claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	NotBefore *int64   `json:"nbf"`
	Expires   *int64   `json:"exp"`
	Name      string   `json:"name"`
	UPN       string   `json:"upn"`
	Groups    []string `json:"groups"`
	Confirm   struct {
		Thumbprint string `json:"x5t#S256"`
	} `json:"cnf"`
}

type publicKey struct {
	algorithm string
	verify    func(signed, signature []byte) bool
}

// KeySet holds the gateway's public keys.
type KeySet struct {
	URL     string
	client  http.Client
	lock    sync.Mutex
	keys    map[string]publicKey
	fetched time.Time
	tried   time.Time
}

func NewKeySet(url string) *KeySet {
	return &KeySet{URL: url, client: http.Client{Timeout: 5 * time.Second}}
}

func (set *KeySet) key(kid string) (publicKey, error) {
	set.lock.Lock()
	defer set.lock.Unlock()
	old := time.Since(set.fetched) > keepKeys
	if _, known := set.keys[kid]; (old || !known) && time.Since(set.tried) > fetchCooldown {
		set.tried = time.Now()
		keys, err := set.fetch()
		if err != nil {
			return publicKey{}, err
		}
		set.keys, set.fetched = keys, time.Now()
	} else if old {
		return publicKey{}, errors.New("the key set is too old, and was asked for a moment ago")
	}
	key, known := set.keys[kid]
	if !known {
		return publicKey{}, errors.New("no key has this kid")
	}
	return key, nil
}

func (set *KeySet) fetch() (map[string]publicKey, error) {
	answer, err := set.client.Get(set.URL)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set was answered with %s", answer.Status)
	}
	var document struct {
		Keys []struct{ Kty, Crv, Alg, Kid, X, Y string }
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&document); err != nil {
		return nil, err
	}
	keys := map[string]publicKey{}
	for _, key := range document.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(key.X)
		y, errY := base64.RawURLEncoding.DecodeString(key.Y)
		if errX != nil || errY != nil {
			continue
		}
		switch {
		case key.Kty == "OKP" && key.Crv == "Ed25519" && key.Alg == "EdDSA" && len(x) == ed25519.PublicKeySize:
			keys[key.Kid] = publicKey{key.Alg, func(signed, signature []byte) bool {
				return ed25519.Verify(x, signed, signature)
			}}
		case key.Kty == "EC" && key.Crv == "P-256" && key.Alg == "ES256" && len(x) == 32 && len(y) == 32:
			public := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
			if !public.Curve.IsOnCurve(public.X, public.Y) {
				continue
			}
			keys[key.Kid] = publicKey{key.Alg, func(signed, signature []byte) bool {
				if len(signature) != 64 {
					return false
				}
				digest := sha256.Sum256(signed)
				r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
				return ecdsa.Verify(&public, digest[:], r, s)
			}}
		}
	}
	return keys, nil
}

// Verifier says who may be believed about what.
type Verifier struct {
	Keys             *KeySet
	Issuer, Audience string
}

// Verify returns the claims of a token. clientCert is the header Client-Cert where the location also has the dialect rfc9440, else empty.
func (verifier *Verifier) Verify(token, clientCert string) (*Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > maximumToken {
		return nil, errors.New("not a token")
	}
	var header map[string]any
	if err := decodePart(parts[0], &header); err != nil {
		return nil, err
	}
	if header["typ"] != tokenType {
		return nil, errors.New("another kind of token")
	}
	if _, critical := header["crit"]; critical {
		return nil, errors.New("critical extensions are not understood")
	}
	kid, _ := header["kid"].(string)
	key, err := verifier.Keys.key(kid)
	if err != nil {
		return nil, err
	}
	// The algorithm is the key's: neither `none` nor anything symmetric can be meant.
	if header["alg"] != key.algorithm {
		return nil, errors.New("another algorithm than the key's")
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	if err != nil || !key.verify([]byte(parts[0]+"."+parts[1]), signature) {
		return nil, errors.New("the signature is wrong")
	}
	var claims Claims
	if err := decodePart(parts[1], &claims); err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case claims.Issuer != verifier.Issuer:
		return nil, errors.New("another issuer")
	case claims.Audience != verifier.Audience:
		return nil, errors.New("meant for somebody else")
	case claims.Expires == nil || !now.Add(-leeway).Before(time.Unix(*claims.Expires, 0)):
		return nil, errors.New("expired")
	case claims.NotBefore == nil || now.Add(leeway).Before(time.Unix(*claims.NotBefore, 0)):
		return nil, errors.New("not valid yet")
	case claims.Subject == "":
		return nil, errors.New("about nobody")
	}
	return &claims, checkCertificate(&claims, clientCert)
}

// RFC 8705 section 3.1: the certificate must be the one that the assertion is about.
func checkCertificate(claims *Claims, clientCert string) error {
	if clientCert == "" {
		return nil
	}
	if len(clientCert) < 2 || clientCert[0] != ':' || clientCert[len(clientCert)-1] != ':' {
		return errors.New("Client-Cert is not a byte sequence (RFC 9440)")
	}
	der, err := base64.StdEncoding.DecodeString(clientCert[1 : len(clientCert)-1])
	if err != nil {
		return err
	}
	digest := sha256.Sum256(der)
	thumbprint := base64.RawURLEncoding.EncodeToString(digest[:])
	if subtle.ConstantTimeCompare([]byte(thumbprint), []byte(claims.Confirm.Thumbprint)) != 1 {
		return errors.New("the assertion is about another certificate")
	}
	return nil
}

func decodePart(part string, into any) error {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
