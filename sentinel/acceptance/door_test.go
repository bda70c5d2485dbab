package acceptance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// lonely writes the configuration of an agent that is alone, with a master that does not answer.
func lonely(t *testing.T, l *lab.Lab, more string) (path, sentinel string) {
	t.Helper()
	var ports [3]int
	for i := range ports {
		var err error
		if ports[i], err = l.Port(); err != nil {
			t.Fatal(err)
		}
	}
	path, sentinel = filepath.Join(t.TempDir(), "picket.yaml"), fmt.Sprint("127.0.0.1:", ports[0])
	text := fmt.Sprintf(`cluster: test
agent: {id: a1, data-dir: %s}
agents: [{id: a1, address: "127.0.0.1:%d"}]
masters: [{name: mymaster, address: "127.0.0.1:%d"}]
`, t.TempDir(), ports[1], ports[2]) + strings.NewReplacer("SENTINEL", sentinel, "PEERS", fmt.Sprint("127.0.0.1:", ports[1])).Replace(more)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, sentinel
}

// pemFiles are a certificate that signs itself, and its key.
func pemFiles(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"agent"},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}

// TestDoor_UsersTLSAndShutdown runs an agent that clients reach with TLS only, as users, and has one of them end it.
func TestDoor_UsersTLSAndShutdown(t *testing.T) {
	t.Parallel()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	cert, key := pemFiles(t)
	path, sentinel := lonely(t, l, fmt.Sprintf(`listen: {sentinel: "", sentinel-tls: "SENTINEL", peers: "PEERS", http: ""}
sentinel:
  users:
    - alice on >wonderland +@all &*
    - default on nopass +sentinel +psubscribe &*
  tls: {cert: %[1]s, key: %[2]s, ca: %[1]s}
`, cert, key))
	picket(t, 0, "config", "check", path)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var log strings.Builder
	agent := exec.CommandContext(ctx, binary, "run", "--config", path)
	agent.Stdout, agent.Stderr = &log, &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }() // ends with the process

	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	client := redis.NewClient(&redis.Options{
		Addr: sentinel, Username: "alice", Password: "wonderland", MaxRetries: -1, DisableIdentity: true,
		TLSConfig: &tls.Config{RootCAs: pool, ServerName: "agent", Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
	defer client.Close()
	if err := lab.Await(patience, "the agent answers", func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if got, err := client.Do(ctx, "ACL", "WHOAMI").Text(); err != nil || got != "alice" {
		t.Errorf("who: %q, %v", got, err)
	}
	if out := picket(t, 2, "failover", "mymaster", "--config", path); !strings.Contains(out, "SENTINEL FAILOVER NAME") {
		t.Errorf("without an HTTP port: %s", out)
	}
	await(t, "the master is known, and has no replica", func() bool {
		err := client.Do(ctx, "SENTINEL", "FAILOVER", "mymaster").Err()
		return err != nil && strings.HasPrefix(err.Error(), "NOGOODSLAVE")
	})
	if err := client.Do(ctx, "SHUTDOWN").Err(); err == nil {
		t.Error("SHUTDOWN was answered")
	}
	if err := <-ended; err != nil {
		t.Errorf("the agent ended with %v\n%s", err, log.String())
	}
}

func TestDoor_WrongUsersAreRefusedBeforeTheStart(t *testing.T) {
	t.Parallel()
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	path, _ := lonely(t, l, `sentinel: {users: [alice on >wonderland +sentinel, "bob on >builder +frobnicate"]}`)
	for _, args := range [][]string{{"config", "check", path}, {"run", "--config", path}} {
		out := picket(t, 2, args...)
		if !strings.Contains(out, path+`: sentinel.users[1]: got "+frobnicate": `) || strings.Contains(out, "builder") {
			t.Errorf("%v: %s", args, out)
		}
	}
}
