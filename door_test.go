package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestDoor_ProvesWhoAsks gives an agent a token, and believes only the certificate that it is told to: by flags, or by the configuration of this host's agent.
func TestDoor_ProvesWhoAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"key":"a","value":%q}`, r.Header.Get("Authorization"))
	}))
	t.Cleanup(s.Close)
	own := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert := write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]})))
	private := write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	token := write("token", "let-me-in-let-me-in\n")

	out, _, err := saying(t.Context(), "kv", "get", "a", "--agent", hostPort(s), "--ca", cert, "--token-file", token)
	if err != nil || out != "Bearer let-me-in-let-me-in\n" {
		t.Errorf("by flags: %q, %v", out, err)
	}
	strict := httptest.NewUnstartedServer(s.Config.Handler)
	strict.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	strict.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that it refuses
	strict.StartTLS()
	t.Cleanup(strict.Close)
	if out, _, err := saying(t.Context(), "kv", "get", "a", "--agent", hostPort(strict), "--ca", cert, "--cert", cert, "--key", private); err != nil {
		t.Errorf("by a certificate: %q, %v", out, err)
	}
	plain := answering(t, 200, "{}")
	for args, want := range map[string]string{
		"--agent " + hostPort(s):                                     "--ca FILE",
		"--agent " + hostPort(strict) + " --ca " + cert:              "with --cert and --key",
		"--agent " + hostPort(plain) + " --ca " + cert:               "has no TLS",
		"--agent " + hostPort(s) + " --ca " + otherAuthority(t, dir): "--ca",
	} {
		_, _, err := saying(t.Context(), append([]string{"kv", "put", "a", "b"}, strings.Fields(args)...)...)
		if exitCode(err) == exitTimeout || !strings.Contains(fmt.Sprint(err), want) { // nothing was understood
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
	file := write("picket.yaml", fmt.Sprintf(`cluster: c
agent: {id: a, data-dir: %s}
agents: [{id: a, address: "127.0.0.1:26380"}]
listen: {http: "%s"}
http:
  tls: {cert: %s, key: %s, auth-clients: "no"}
  tokens: [{name: look, token: only-to-look-only-to-look, role: read}, {name: do, token: to-do-much-to-do-much, role: admin}]
masters: [{name: m, address: "127.0.0.1:6379", quorum: 1}]
`, dir, hostPort(s), cert, private))
	out, _, err = saying(t.Context(), "kv", "get", "a", "-c", file)
	if err != nil || out != "Bearer to-do-much-to-do-much\n" {
		t.Errorf("by the configuration: %q, %v", out, err)
	}
}

// TestDoor_TheTokenStaysHere keeps what a configuration holds from crossing the network as it is.
func TestDoor_TheTokenStaysHere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "picket.yaml")
	given := filepath.Join(t.TempDir(), "token")
	for path, text := range map[string]string{given: "the-operators-own-token", file: fmt.Sprintf(`cluster: c
agent: {id: a, data-dir: %s}
agents: [{id: a, address: "10.0.0.1:26380"}, {id: b, address: "10.0.0.2:26380"}]
listen: {http: "10.0.0.1:26381"}
http:
  tokens: [{name: do, token: to-do-much-to-do-much, role: admin}]
masters: [{name: m, address: "10.0.0.1:6379", quorum: 1}]
`, t.TempDir())} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		agents    []string
		tokenFile string
		want      string // whom it may ask; empty: it is refused
	}{
		{nil, "", "[10.0.0.1:26381]"},
		{nil, given, "[10.0.0.1:26381 10.0.0.2:26381]"},
		{[]string{"127.0.0.1:5", "10.0.0.1:26381"}, "", "[127.0.0.1:5 10.0.0.1:26381]"},
		{[]string{"10.0.0.2:26381"}, "", ""},
		{[]string{"10.0.0.2:26381"}, given, "[10.0.0.2:26381]"},
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		d := newDoor(flags)
		if err := flags.Set("config", file); err != nil {
			t.Fatal(err)
		}
		d.agents, d.tokenFile = tc.agents, tc.tokenFile
		c, err := d.client(nil)
		if tc.want == "" {
			if exitCode(err) != exitUsage || !strings.Contains(err.Error(), "--token-file") || strings.Contains(err.Error(), "to-do-much") {
				t.Errorf("%v: %v", tc, err)
			}
		} else if err != nil || fmt.Sprint(c.Agents) != tc.want {
			t.Errorf("%v: %v", tc, err)
		}
	}
}

// otherAuthority is a certificate that signs nothing of the agent's.
func otherAuthority(t *testing.T, dir string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
