package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// recording is an agent that knows a picture, notes what else it is asked for, and refuses it.
func recording(t *testing.T, picture string) (s *httptest.Server, asked *[]string) {
	t.Helper()
	asked = new([]string)
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			_, _ = io.WriteString(w, picture)
			return
		}
		body, _ := io.ReadAll(r.Body)
		line := []string{r.Method, r.URL.RequestURI(), string(body)}
		for _, name := range []string{"If-Match", "If-None-Match"} {
			if value := r.Header.Get(name); value != "" {
				line = append(line, name+": "+value)
			}
		}
		*asked = append(*asked, strings.Join(line, " "))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, `{"status":418,"detail":"no"}`)
	}))
	t.Cleanup(s.Close)
	return s, asked
}

// TestAsked: what the command line says is what an agent is asked for, conditions above all.
func TestAsked(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"kv put k v":                                   "PUT /v1/kv/k? v",
		"kv put k -":                                   "PUT /v1/kv/k? from the standard input",
		"kv put k v --absent":                          "PUT /v1/kv/k? v If-None-Match: *",
		"kv put k v --at 3":                            `PUT /v1/kv/k? v If-Match: "3"`,
		"kv cas k old new":                             "PUT /v1/kv/k?expect=old new",
		"kv delete k":                                  "DELETE /v1/kv/k? ",
		"kv delete k --at 3":                           `DELETE /v1/kv/k?  If-Match: "3"`,
		"kv watch":                                     "GET /v1/kv/?prefix=&watch= ",
		"kv watch k":                                   "GET /v1/kv/k?watch= ",
		"kv watch k --prefix --from 4":                 "GET /v1/kv/k?from=4&prefix=&watch= ",
		"events --follow --master m --after 3":         "GET /v1/events/stream?after=3&master=m ",
		"events --limit 5 --type x.*":                  "GET /v1/events?limit=5&type=x.%2A ",
		"history --master m":                           "GET /v1/history?limit=20&master=m ",
		"history 7":                                    "GET /v1/history/7 ",
		"switchover m --cancel":                        "DELETE /v1/switchover?" + url.Values{"master": {"m"}, "who": {me.Username + "@" + host}}.Encode() + " ",
		"why m --at 2026-01-02T03:04:05Z":              "GET /v1/masters/m/why?at=2026-01-02T03%3A04%3A05Z ",
		"why":                                          "GET /v1/blocked ",
		"plan m --fail h:1,h:2 --fail-agent a":         "GET /v1/masters/m/plan?fail=h%3A1&fail=h%3A2&fail-agent=a ",
		"switchover m --if-local":                      "", // there is no Redis beside the agent
		"switchover m --at 2001-01-01T00:00:00Z":       "",
		"kv put k " + strings.Repeat("x", 1<<20|1):     "", // more than a value may hold
		"kv get k -c " + filepath.Join(host, "n.yaml"): "",
	} {
		s, asked := recording(t, `{"masters":[{"name":"m","server":{"addr":"h:1"}}]}`)
		root := command()
		root.SetArgs(append(strings.Fields(args), "--agent", hostPort(s)))
		root.SetIn(strings.NewReader("from the standard input"))
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := execute(t.Context(), root)
		if got := strings.Join(*asked, ", "); got != want || want != "" && exitCode(err) != exitFailure {
			t.Errorf("picket %.80s: %s, want %s: %v", args, got, want, err)
		}
	}
}

// TestSwitchover_IfLocal is what a host does before its Redis is stopped: it hands over what it has, and never what another one has.
func TestSwitchover_IfLocal(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		master, lease string
		ordered       bool
		code          int
	}{
		{"m", `{"server":"h:1"}`, true, exitFailure}, // the recorder refuses
		{"m", `{"server":"h:2"}`, false, exitOK},
		{"m", `null`, false, exitOK},
		{"n", `{"server":"h:1"}`, false, exitOK},
		{"x", `{"server":"h:1"}`, false, exitNotFound},
	} {
		s, asked := recording(t, `{"masters":[{"name":"n","server":{"addr":"h:3"}},{"name":"m","server":{"addr":"h:1"}}],"lease":`+tc.lease+`}`)
		_, _, err := saying(t.Context(), "switchover", tc.master, "--if-local", "--agent", hostPort(s))
		if exitCode(err) != tc.code || len(*asked) > 0 != tc.ordered {
			t.Errorf("%+v: %v, asked for %q", tc, err, *asked)
		}
	}
	s := answering(t, http.StatusServiceUnavailable, `{"status":503,"detail":"it starts"}`)
	if _, _, err := saying(t.Context(), "switchover", "m", "--if-local", "--agent", hostPort(s)); exitCode(err) != exitUnreached {
		t.Errorf("nobody knows: %v", err)
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 3, 4, 0, 0, time.FixedZone("", 3600))
	for text, want := range map[string]string{
		"": "0001-01-01T00:00:00Z", "03:05": "2026-01-31T03:05:00+01:00", "03:04": "2026-02-01T03:04:00+01:00", "00:00": "2026-02-01T00:00:00+01:00",
		"2026-01-31T02:05:00Z": "2026-01-31T02:05:00Z", "2026-01-31T02:04:00Z": "--at has passed", "noon": "is no time", "24:00": "is no time",
	} {
		got, err := instant(text, now)
		if at := got.Format(time.RFC3339); err == nil && at != want || err != nil && (exitCode(err) != exitUsage || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %s, %v; want %s", text, at, err, want)
		}
	}
}

// TestWebhooks_ATestThatFails fails the command, too.
func TestWebhooks_ATestThatFails(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{`{"ok":true,"webhook":"ops"}`: "<nil>", `{"error":"status 500"}`: "ops has not taken the test: status 500"} {
		_, _, err := saying(t.Context(), "webhooks", "test", "ops", "--agent", hostPort(answering(t, http.StatusOK, body)))
		if fmt.Sprint(err) != want || (exitCode(err) == exitFailure) != (err != nil) {
			t.Errorf("%s: %v", body, err)
		}
	}
	s := answering(t, http.StatusNotFound, `{"status":404,"detail":"there is none"}`)
	if _, _, err := saying(t.Context(), "webhooks", "test", "ops", "--agent", hostPort(s)); exitCode(err) != exitNotFound {
		t.Error(err)
	}
}

// TestExport_OverwritesNothing unless it is told to, and is only for the agent whose configuration it is given.
func TestExport_OverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "sentinel.conf")
	export := func(picture string, args ...string) (text, notes string, err error) {
		t.Helper()
		s, _ := recording(t, picture)
		file := filepath.Join(dir, "picket.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, `cluster: c
agent: {id: a, data-dir: %s}
agents: [{id: a, address: "127.0.0.1:26380"}]
listen: {http: "%s"}
masters: [{name: m, address: "10.0.0.1:6379", quorum: 1, password: of-the-servers}]
`, dir, hostPort(s)), 0o600); err != nil {
			t.Fatal(err)
		}
		return saying(t.Context(), append([]string{"config", "export", "-c", file}, args...)...)
	}
	const picture = `{"agent":"a","agents":[{"id":"a","self":true,"my_id":"1111111111111111111111111111111111111111","host":"10.0.0.1","sentinel_port":26379},
		{"id":"b","my_id":"2222222222222222222222222222222222222222","host":"10.0.0.2","sentinel_port":26379},{"id":"c","my_id":"3333333333333333333333333333333333333333"}],
		"masters":[{"name":"m","epoch":7,"quorum":2,"server":{"addr":"10.0.0.2:6379"},"replicas":[{"addr":"10.0.0.1:6379"}]},{"name":"new","quorum":2,"server":{"addr":"10.0.0.9:6379"}}]}`
	text, notes, err := export(picture)
	for _, line := range []string{
		"sentinel myid 1111111111111111111111111111111111111111", "sentinel monitor m 10.0.0.2 6379 2", "sentinel auth-pass m of-the-servers", "sentinel known-replica m 10.0.0.1 6379",
		"sentinel known-sentinel m 10.0.0.2 26379 2222222222222222222222222222222222222222", "sentinel monitor new 10.0.0.9 6379 2", "sentinel current-epoch 7",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%q is missing in\n%s", line, text)
		}
	}
	if err != nil || strings.Contains(text, "333333") || strings.Contains(text, "known-sentinel m 10.0.0.1") || !strings.Contains(notes, "new was made known at run time") || strings.Contains(notes, "m was") {
		t.Errorf("%v, %q\n%s", err, notes, text)
	}
	mine := []byte("mine")
	if err := os.WriteFile(out, mine, 0o640); err != nil { //nolint:gosec // a group reads it
		t.Fatal(err)
	}
	for _, tc := range []struct {
		picture, args, want string
		code                int
	}{
		{picture, "--out " + out, "--force", exitUsage},
		{`{"agent":"b"}`, "--force --out " + out, "the agent that answers is b", exitUsage},
		{`{"agent":"a","shadow":true}`, "--force --out " + out, "only watch", exitUsage},
		{picture, "--force --base " + filepath.Join(dir, "none") + " --out " + out, "--base", exitUsage},
		{"no JSON", "--force --out " + out, "read the agent's answer", exitFailure},
	} {
		_, _, err := export(tc.picture, strings.Fields(tc.args)...)
		if exitCode(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.args, err)
		}
		if now, err := os.ReadFile(out); err != nil || !bytes.Equal(now, mine) {
			t.Errorf("%s: it is overwritten by %q, %v", tc.args, now, err)
		}
	}
	if _, _, err := export(picture, "--force", "--out", out); err != nil {
		t.Error(err)
	}
	now, err := os.ReadFile(out)
	if info, failed := os.Stat(out); err != nil || failed != nil || string(now) != text || info.Mode().Perm() != 0o640 {
		t.Errorf("it is %q with %v: %v, %v", now, info.Mode(), err, failed)
	}
	fresh := filepath.Join(dir, "fresh.conf")
	if _, _, err := export(picture, "--out", fresh, "--base", out); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(fresh); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new one may be read by others: %v", err)
	}
}

// TestSalvage_Where looks where it is told to, or where the agent of this host keeps them.
func TestSalvage_Where(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "picket.yaml")
	text := fmt.Sprintf("cluster: c\nagent: {id: a, data-dir: %s}\nagents: [{id: a, address: \"127.0.0.1:26380\"}]\nmasters: [{name: m, address: \"10.0.0.1:6379\", quorum: 1}]\n", dir)
	for path, text := range map[string]string{file: text, "salvage/of-data-dir.salvage": "x", "other/of-other.salvage": "x"} {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"list -c " + file: "of-data-dir.salvage",
		"list -c " + file + " --dir " + dir + "/other":           "of-other.salvage",
		"list -c /nowhere/picket.yaml":                           "/nowhere/picket.yaml",
		"show of-data-dir.salvage -c " + file:                    filepath.Join(dir, "salvage", "of-data-dir.salvage"),
		"show of-data-dir.salvage -c /nowhere/picket.yaml":       "/nowhere/picket.yaml",
		"show of-other.salvage --dir " + dir + "/other":          filepath.Join(dir, "other", "of-other.salvage"),
		"show " + dir + "/other/of-other.salvage -c " + file:     "show " + filepath.Join(dir, "other", "of-other.salvage"),
		"show /nowhere/of-other.salvage --dir " + dir + "/other": "open /nowhere/of-other.salvage",
	} {
		out, _, err := saying(t.Context(), append([]string{"salvage"}, strings.Fields(args)...)...)
		if !strings.Contains(out+fmt.Sprint(err), want) {
			t.Errorf("picket salvage %s: %q, %v", args, out, err)
		}
	}
}
