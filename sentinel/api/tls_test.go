package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"picket/config"
	"picket/config/certs"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// sign makes a certificate and its key, in the files NAME.pem and NAME-key.pem.
func (a *authority) sign(name string, c *x509.Certificate) {
	a.t.Helper()
	a.n++
	c.SerialNumber, c.Subject = big.NewInt(a.n), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
		a.key = key
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// client trusts the authority, and shows a certificate; empty: none.
func (a *authority) client(name string) *http.Client {
	a.t.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	cfg.RootCAs.AddCert(a.cert)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name), a.file(name+"-key"))
		if err != nil {
			a.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	return &http.Client{Transport: transport}
}

// TestTLS_KnowsClientsByTheirCertificates serves with TLS, renews its certificate while it does, and tells those who show one from those who don't.
func TestTLS_KnowsClientsByTheirCertificates(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	server := func() {
		a.sign("server", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	}
	server()
	a.sign("deploy", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	stranger.sign("other", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	for _, auth := range []string{config.AuthClientsOptional, config.AuthClientsYes} {
		t.Run(auth, func(t *testing.T) {
			cfg, _ := whole(t)
			cfg.Addr = "127.0.0.1:0"
			cfg.HTTP = config.HTTP{
				Anonymous: config.AnonymousNone, ClientRole: config.RoleRead,
				TLS: config.DoorTLS{Cert: a.file("server"), Key: a.file("server-key"), CA: a.file("ca"), AuthClients: auth},
			}
			var err error
			if cfg.TLS, err = (&certs.Store{}).Server(cfg.HTTP.TLS); err != nil {
				t.Fatal(err)
			}
			s, err := Listen(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			url := "https://" + s.Addr().String()
			ask := func(c *http.Client, path string) (int, *x509.Certificate, Caller) {
				answer, err := c.Get(url + path)
				if err != nil {
					return 0, nil, Caller{}
				}
				defer answer.Body.Close()
				var who Caller
				_ = json.NewDecoder(answer.Body).Decode(&who) // of /v1/whoami only
				return answer.StatusCode, answer.TLS.PeerCertificates[0], who
			}
			code, first, who := ask(a.client("deploy"), "/v1/whoami")
			if code != 200 || who != (Caller{"deploy", "certificate", "read"}) {
				t.Errorf("who shows one: %d %+v", code, who)
			}
			if code, _, _ := ask(a.client("deploy"), "/v1/status"); code != 200 {
				t.Errorf("who shows one: %d", code)
			}
			wantAnonymous := map[string]int{config.AuthClientsOptional: 200, config.AuthClientsYes: 0}[auth]
			if code, _, _ := ask(a.client(""), "/livez"); code != wantAnonymous {
				t.Errorf("a check without one: %d", code)
			}
			if code, _, _ := ask(a.client(""), "/v1/status"); code == 200 {
				t.Error("who shows none reads")
			}
			wrong := a.client("")
			pair, err := tls.LoadX509KeyPair(stranger.file("other"), stranger.file("other-key"))
			if err != nil {
				t.Fatal(err)
			}
			wrong.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
			wrong.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			if code, _, _ := ask(wrong, "/livez"); code != 0 {
				t.Errorf("a certificate of another authority: %d", code)
			}
			if answer, err := http.Get("http://" + s.Addr().String() + "/livez"); err == nil {
				_ = answer.Body.Close()
				if answer.StatusCode == 200 {
					t.Error("it answers without TLS")
				}
			}
			server() // is renewed
			deadline := time.Now().Add(10 * time.Second)
			for {
				_, now, _ := ask(a.client("deploy"), "/livez")
				if now != nil && now.SerialNumber.Cmp(first.SerialNumber) != 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("it goes on with its old certificate")
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
}
