package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// keyPair makes the files of a certificate that signs itself.
func keyPair(t *testing.T) TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, kind string, der []byte) string {
		return write(t, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return TLS{Cert: file("cert.pem", "CERTIFICATE", cert), Key: file("key.pem", "PRIVATE KEY", private)}
}

func TestTLS_Check(t *testing.T) {
	a, b := keyPair(t), keyPair(t)
	for name, tc := range map[string]struct {
		tls  TLS
		want string
	}{
		"off":              {TLS{}, ""},
		"system's":         {TLS{Enabled: true}, ""},
		"authority":        {TLS{Enabled: true, CA: a.Cert}, ""},
		"pair":             {TLS{Enabled: true, CA: b.Cert, Cert: a.Cert, Key: a.Key}, ""},
		"another's key":    {TLS{Enabled: true, Cert: a.Cert, Key: b.Key}, "private key does not match public key"},
		"key as authority": {TLS{Enabled: true, CA: a.Key}, "holds no certificate"},
	} {
		r := newReport("picket.yaml")
		tc.tls.check(r, "peer-tls")
		err := r.err()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestParseAddr_GivesOneSpelling(t *testing.T) {
	for text, want := range map[string]Addr{
		"10.0.0.1:6379": "10.0.0.1:6379", "[FD00:0:0::1]:06379": "[fd00::1]:6379", "redis-1:6379": "redis-1:6379",
		"Redis_1.Example.com.:1": "redis_1.example.com:1", "[fe80::1%eth0]:65535": "[fe80::1%eth0]:65535", "[::ffff:a00:1]:1": "10.0.0.1:1",
	} {
		if got, err := parseAddr(text); got != want || err != nil {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"down-after", "crash-grace", "id", "ca", "key", "cert", "failover.begun"}
	for word, want := range map[string]string{
		"downAfter": "down-after", "down_after": "down-after", "dwon-after": "down-after", "crashgrace": "crash-grace", "Cert": "cert",
		"certs": "cert", "x": "", "timeout": "", "failover.begin": "failover.begun", "": "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
