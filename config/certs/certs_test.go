package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/config"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var serial int64

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	var der []byte
	a.key, der = issue(t, nil, nil)
	a.cert, _ = x509.ParseCertificate(der)
	return a
}

// issue makes a certificate: without an authority, one that signs others.
func issue(t *testing.T, by *authority, hosts []string) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: by == nil, BasicConstraintsValid: true, DNSNames: hosts,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// write has files hold a new certificate, its key and the authority.
func (a *authority) write(dir string, hosts ...string) config.DoorTLS {
	a.t.Helper()
	key, der := issue(a.t, a, hosts)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	files := config.DoorTLS{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem"), AuthClients: config.AuthClientsYes,
	}
	for path, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: secret}, files.CA: {Type: "CERTIFICATE", Bytes: a.cert.Raw},
	} {
		put(a.t, path, string(pem.EncodeToMemory(block)))
	}
	return files
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func client(d config.DoorTLS) config.TLS {
	return config.TLS{Enabled: true, CA: d.CA, Cert: d.Cert, Key: d.Key}
}

// shake makes a connection between two sides, and gives the certificates that they have seen.
func shake(t *testing.T, server, client *tls.Config) (ofServer, ofClient *x509.Certificate, err error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(chan *x509.Certificate, 1)
	go func() { // ends with the connection, which this function ends
		defer close(seen)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if conn.Handshake() != nil {
			return
		}
		_, _ = conn.Write([]byte("x"))
		if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
			seen <- shown[0]
		}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, client)
	if _, err = io.ReadFull(conn, make([]byte, 1)); err != nil {
		return nil, nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], <-seen, nil
}

// told is what a store has said.
type told []string

func (w *told) store() *Store {
	return &Store{Tell: func(file string, err error) {
		if err != nil {
			file += ": " + err.Error()
		}
		*w = append(*w, file)
	}}
}

// TestRotation: each side's files are replaced, and both are at the next connection who they are now.
func TestRotation(t *testing.T) {
	a, here, there := newAuthority(t), t.TempDir(), t.TempDir()
	files, others := a.write(here, "redis"), a.write(there, "agent")
	var heard told
	store := heard.store()
	server, err := store.Server(files)
	if err != nil {
		t.Fatal(err)
	}
	dial, err := store.Client(client(others), "redis")
	if err != nil {
		t.Fatal(err)
	}
	was, wasClient, err := shake(t, server, dial)
	if err != nil || wasClient == nil {
		t.Fatal(err)
	}
	a.write(here, "redis")
	a.write(there, "agent")
	is, isClient, err := shake(t, server, dial)
	if err != nil {
		t.Fatal(err)
	}
	if was.Equal(is) || wasClient.Equal(isClient) {
		t.Error("an old certificate is shown")
	}
	if len(heard) != 2 {
		t.Errorf("told %q", heard)
	}

	// Another authority: the old one's certificates are refused on both sides.
	b := newAuthority(t)
	b.write(here, "redis")
	if _, _, err := shake(t, server, dial); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a server of another authority: %v", err)
	}
	bundle, _ := os.ReadFile(files.CA)
	put(t, others.CA, string(bundle)) // the client trusts it, and is not trusted
	if _, _, err := shake(t, server, dial); err == nil || !strings.Contains(err.Error(), "unknown certificate authority") {
		t.Errorf("a client of another authority: %v", err)
	}
	b.write(there, "agent")
	if _, _, err := shake(t, server, dial); err != nil {
		t.Errorf("both of the new authority: %v", err)
	}
}

// TestBroken: what makes no sense changes nothing, and is told once.
func TestBroken(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	files := a.write(dir, "redis")
	var heard told
	store := heard.store()
	server, _ := store.Server(files)
	dial, _ := store.Client(client(files), "redis")
	was, _, err := shake(t, server, dial)
	if err != nil {
		t.Fatal(err)
	}
	for what, breaks := range map[string]func(){
		"gibberish": func() { put(t, files.Cert, "-----BEGIN") },
		"another's key": func() {
			other := a.write(t.TempDir(), "redis")
			text, _ := os.ReadFile(other.Key)
			put(t, files.Key, string(text))
		},
		"no file":   func() { _ = os.Remove(files.Key) },
		"too large": func() { put(t, files.CA, strings.Repeat("#", maxFile+1)) },
	} {
		cert, _ := os.ReadFile(files.Cert)
		key, _ := os.ReadFile(files.Key)
		ca, _ := os.ReadFile(files.CA)
		heard = nil
		breaks()
		for range 3 {
			if is, _, err := shake(t, server, dial); err != nil || !is.Equal(was) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if len(heard) != 1 || !strings.Contains(heard[0], ": ") {
			t.Errorf("%s: told %q", what, heard)
		}
		put(t, files.Cert, string(cert))
		put(t, files.Key, string(key))
		put(t, files.CA, string(ca))
		_, _, _ = shake(t, server, dial)
	}
	if _, err := store.Server(config.DoorTLS{Cert: filepath.Join(dir, "none"), Key: files.Key, AuthClients: config.AuthClientsNo}); err == nil {
		t.Error("a port is opened without a certificate")
	}
}

// TestLinks: a directory is swapped as Kubernetes does it, and the files are as old as those before.
func TestLinks(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	old := time.Now().Add(-time.Hour)
	link := filepath.Join(dir, "now")
	swap := func(to string) {
		t.Helper()
		target := filepath.Join(dir, to)
		if err := os.Mkdir(target, 0o700); err != nil {
			t.Fatal(err)
		}
		files := a.write(target, "redis")
		for _, path := range []string{files.Cert, files.Key, files.CA} {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(to, link+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(link+".new", link); err != nil {
			t.Fatal(err)
		}
	}
	swap("one")
	files := config.DoorTLS{Cert: link + "/cert.pem", Key: link + "/key.pem", CA: link + "/ca.pem", AuthClients: config.AuthClientsNo}
	store := &Store{}
	server, err := store.Server(files)
	if err != nil {
		t.Fatal(err)
	}
	dial, _ := store.Client(config.TLS{Enabled: true, CA: files.CA}, "redis")
	was, _, err := shake(t, server, dial)
	if err != nil {
		t.Fatal(err)
	}
	pair := store.pair(files.Cert, files.Key)
	if pair.seen == nil {
		t.Error("files that nobody touches are read each time")
	}
	swap("two")
	is, _, err := shake(t, server, dial)
	if err != nil || is.Equal(was) {
		t.Errorf("after a swap: %v", err)
	}
	if all := store.Expiries(); len(all) != 1 || !all[0].Until.Equal(is.NotAfter) || all[0].File != files.Cert {
		t.Errorf("expiries %v", all)
	}
}

// TestClient: a server must bear the name that is given, or else that of the host; without TLS there is nothing to check.
func TestClient(t *testing.T) {
	a := newAuthority(t)
	files := a.write(t.TempDir(), "redis")
	server, err := (&Store{}).Server(config.DoorTLS{Cert: files.Cert, Key: files.Key, AuthClients: config.AuthClientsNo})
	if err != nil {
		t.Fatal(err)
	}
	var none *Store
	for host, name := range map[string]string{"redis": "", "10.0.0.1": "redis"} {
		dial, err := none.Client(config.TLS{Enabled: true, CA: files.CA, ServerName: name}, host)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := shake(t, server, dial); err != nil {
			t.Errorf("%s, which is to be %q: %v", host, name, err)
		}
	}
	dial, _ := none.Client(config.TLS{Enabled: true, CA: files.CA, ServerName: "another"}, "redis")
	if _, _, err := shake(t, server, dial); err == nil || !strings.Contains(err.Error(), "not another") {
		t.Errorf("a server that is not the one: %v", err)
	}
	if dial, err := none.Client(config.TLS{CA: files.CA}, "redis"); dial != nil || err != nil {
		t.Errorf("without TLS: %v, %v", dial, err)
	}
}
