package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoad_SecretsFromTheEnvironment: also of what stands in lists.
func TestLoad_SecretsFromTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picket.yaml")
	text := `
cluster: main
agent: {id: a}
agents: [{id: a, address: "10.0.0.1:26380"}]
masters: [{name: my-master, address: "10.0.0.1:6379"}, {name: other, address: "10.0.0.2:6379", password: of the file}]
webhooks: [{name: ops, url: "https://example.com"}]
http: {tokens: [{name: grafana, role: read}]}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5"
	t.Setenv("PICKET_MASTERS_MY_MASTER_PASSWORD", "sesame")
	t.Setenv("PICKET_WEBHOOKS_OPS_SECRET", key)
	t.Setenv("PICKET_HTTP_TOKENS_GRAFANA_TOKEN", "0123456789abcdef")
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Masters[0].Password != "sesame" || c.Masters[1].Password != "of the file" || string(c.Webhooks[0].Secret) != key || c.HTTP.Tokens[0].Token != "0123456789abcdef" {
		t.Errorf("%q %q %q %q", string(c.Masters[0].Password), string(c.Masters[1].Password), string(c.Webhooks[0].Secret), string(c.HTTP.Tokens[0].Token))
	}
	t.Setenv("PICKET_HTTP_TOKENS_GRAFANA_TOKEN", "short")
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "PICKET_HTTP_TOKENS_GRAFANA_TOKEN: http.tokens[0].token: has 5 characters") {
		t.Errorf("a bad one: %v", err)
	}
}
