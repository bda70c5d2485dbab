package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestSecret_NeverShows(t *testing.T) {
	const secret = "hunter2"
	c := Config{Sentinel: Door{Password: secret}, Masters: []Master{{Password: secret}}}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb, Secret(secret))
		fmt.Fprintf(&shown, verb, c)
		fmt.Fprintf(&shown, verb, &c)
	}
	for _, encode := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		data, err := encode(c)
		if err != nil {
			t.Fatal(err)
		}
		shown.Write(data)
	}
	for _, leak := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(shown.String(), leak) {
			t.Errorf("%q is shown in\n%s", leak, shown.String())
		}
	}
	if string(Secret(secret)) != secret {
		t.Error("a secret cannot be used")
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ content, want, err string }{
		"plain":         {"s3cret", "s3cret", ""},
		"newline":       {"s3cret\n", "s3cret", ""},
		"two newlines":  {"s3cret\n\n", "s3cret\n", ""},
		"windows":       {"s3cret\r\n", "s3cret", ""},
		"spaces":        {" s3 cret ", " s3 cret ", ""},
		"empty":         {"", "", "is empty"},
		"only newline":  {"\n", "", "is empty"},
		"far too large": {strings.Repeat("x", maxSecret+1), "", "is larger than 64 KiB"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(path)
		if string(got) != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %q, %v; want %q, %s", name, string(got), err, tc.want, tc.err)
		}
	}
	missing := filepath.Join(dir, "missing")
	if _, err := ReadSecret(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v does not name the file", err)
	}
}

func TestWebhook_SigningKeys(t *testing.T) {
	w := Webhook{Secret: "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5"}
	keys, err := w.SigningKeys()
	if err != nil || len(keys) != 1 || string(keys[0]) != "not a secret: replace this key" {
		t.Errorf("keys %q, %v", keys, err)
	}
	w.SecretNext = "whsec_YW5vdGhlciBvbmUsIG5vdCBhIHNlY3JldCBlaXRoZXI="
	keys, err = w.SigningKeys()
	if err != nil || len(keys) != 2 || string(keys[1]) != "another one, not a secret either" {
		t.Errorf("keys %q, %v", keys, err)
	}
	if keys, err = (Webhook{}).SigningKeys(); err != nil || len(keys) != 0 {
		t.Errorf("keys %q, %v", keys, err)
	}
}

func TestWebhook_Wants(t *testing.T) {
	for _, tc := range []struct {
		events, masters, eventType, master string
		want                               bool
	}{
		{"", "", "failover.begun", "m", true},
		{"", "", "agent.registered", "", true},
		{"failover.begun", "", "failover.begun", "m", true},
		{"failover.begun", "", "failover.ended", "m", false},
		{"failover.*", "", "failover.ended", "m", true},
		{"failover.*", "", "master.added", "m", false},
		{"master.added failover.*", "", "failover.ended", "m", true},
		{"*", "", "agent.registered", "", true},
		{"", "m", "failover.begun", "m", true},
		{"", "m", "failover.begun", "n", false},
		{"", "m", "agent.registered", "", false},
		{"", "m", "pause.begun", "", true},
		{"failover.*", "m n", "failover.begun", "n", true},
	} {
		w := Webhook{Events: strings.Fields(tc.events), Masters: strings.Fields(tc.masters)}
		if got := w.Wants(tc.eventType, tc.master); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
	pager := Webhook{Preset: PresetPagerDuty, Masters: []string{"m"}}
	for eventType, want := range map[string]bool{"failover.begun": true, "failover.ended": true, "failover.aborted": true, "failover.switched": false, "master.added": false} {
		if got := pager.Wants(eventType, "m"); got != want {
			t.Errorf("a pager wants %s: %v", eventType, got)
		}
	}
}
