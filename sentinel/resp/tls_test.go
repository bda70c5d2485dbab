package resp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// identity is a certificate that signs itself.
func identity(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	own, pool := identity(t)
	server := &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	s := start(t, Config{TLSAddr: "127.0.0.1:0", TLS: server})
	addr := s.listeners[1].Addr().String()
	say := func(certificates ...tls.Certificate) string {
		conn := tls.Client(dial(t, addr), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: certificates, MinVersion: tls.VersionTLS12})
		_, _ = io.WriteString(conn, "PING\r\nCLIENT GETNAME\r\nQUIT\r\n") // where it is refused, there is no answer
		all, _ := io.ReadAll(conn)
		return string(all)
	}
	if got := say(own); got != "+PONG\r\n$-1\r\n+OK\r\n" {
		t.Errorf("with a certificate: %q", got)
	}
	other, _ := identity(t)
	if got := say(other) + say(); got != "" {
		t.Errorf("with a wrong one, and without one: %q", got)
	}
	if got := exchange(t, s.Addr().String(), "PING\r\nQUIT\r\n"); got != "+PONG\r\n+OK\r\n" {
		t.Errorf("at the other port: %q", got)
	}
	silent := dial(t, addr) // neither does somebody who says nothing keep Close from ending
	await(t, "it is there", func() bool { return s.connected() == 1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("still connected")
	}
}
