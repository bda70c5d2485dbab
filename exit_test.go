package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
)

// saying runs a command line in this process.
func saying(ctx context.Context, args ...string) (out, errs string, err error) {
	root := command()
	var o, e bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&o)
	root.SetErr(&e)
	err = execute(ctx, root)
	return o.String(), e.String(), err
}

// answering is an agent that answers everything with one status.
func answering(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s
}

func hostPort(s *httptest.Server) string { return s.Listener.Addr().String() }

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestExitCode_OfTheCommandLine(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("clustr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		want string // in the error
	}{
		{"stats", `unknown command "stats"`},
		{"kv gett a", `unknown command "gett" for "picket kv"; did you mean get; `},
		{"status --agnt x", "unknown flag: --agnt"},
		{"status -o xml", "it is table, json, yaml"},
		{"kv get", "accepts 1 arg(s), received 0"},
		{"plan mymaster", `required flag(s) "fail" not set`},
		{"kv put a b --absent --at 3", "none of the others can be"},
		{"why m --agent 127.0.0.1:1 --at noon", "is no time"},
		{"switchover m --agent 127.0.0.1:1 --at 2001-01-01T00:00:00Z", "--at has passed"},
		{"status --config " + bad, "clustr"},
		{"status --agent 127.0.0.1:1 --token-file /nowhere", "--token-file: open /nowhere"},
		{"status --agent 127.0.0.1:1 --ca " + bad, "holds no certificate in PEM"},
		{"status --agent 127.0.0.1:1 --cert " + bad, "--cert and --key belong together"},
		{"status --agent 127.0.0.1:1 --cert " + bad + " --key " + bad, "--cert, --key: "},
		{"salvage show x -o xml", "one of table, json, yaml and commands"},
		{"config check", "name the file"},
		{"config check --sentinel-conf=", "there is no configuration"},
		{"kv put a//b c --agent 127.0.0.1:1", `key "a//b" has an empty part`},
		{"history last --agent 127.0.0.1:1", "is no epoch"},
		{"webhooks drop w --id= --agent 127.0.0.1:1", "say which"},
	} {
		_, _, err := saying(t.Context(), strings.Fields(tc.args)...)
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("picket %s: exit code %d, %v; want %q", tc.args, exitCode(err), err, tc.want)
		}
	}
	if out, _, err := saying(t.Context(), "kv"); exitCode(err) != exitOK || !strings.Contains(out, "picket kv [command]") {
		t.Errorf("picket kv: %v\n%s", err, out)
	}
}

func TestExitCode_OfWhatAgentsAnswer(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{
		400: exitUsage, 401: exitRefused, 403: exitRefused, 404: exitNotFound, 409: exitRefused, 412: exitRefused, 413: exitUsage, 418: exitFailure,
		429: exitRefused, 500: exitFailure, 503: exitUnreached, 504: exitTimeout, 507: exitRefused, 302: exitFailure,
	} {
		s := answering(t, status, fmt.Sprintf(`{"title":"x","status":%d,"detail":"because of %d"}`, status, status))
		_, _, err := saying(t.Context(), "kv", "get", "a", "--agent", hostPort(s))
		if exitCode(err) != want || !strings.Contains(err.Error(), fmt.Sprint("because of ", status)) {
			t.Errorf("%d: exit code %d, want %d: %v", status, exitCode(err), want, err)
		}
	}
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, exitOK},
		{errors.New("x"), exitFailure},
		{fmt.Errorf("x: %w", &config.Error{}), exitUsage},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), exitTimeout},
		{&cli.LostError{Err: errors.New("EOF")}, exitTimeout},
		{&cli.LostError{Err: api.Problem{Status: 403}}, exitTimeout}, // of who asks how it goes on, and not of the order
		{&cli.UnreachedError{Err: errors.New("refused")}, exitUnreached},
		{&cli.UnreachedError{Err: fmt.Errorf("dial: %w", os.ErrDeadlineExceeded)}, exitUnreached},
		{&cli.UnreachedError{Err: fmt.Errorf("dial: %w", context.DeadlineExceeded)}, exitUnreached}, // as which a dialer's own limit counts
		{unwellError{"x"}, exitUnwell},
		{api.Problem{Status: 404}, exitNotFound},
	} {
		if got := exitCode(tc.err); got != tc.want {
			t.Errorf("%v: %d, want %d", tc.err, got, tc.want)
		}
	}
}

// TestDoor_AsksTheNextAgent goes on where one agent does not run, and another has no majority.
func TestDoor_AsksTheNextAgent(t *testing.T) {
	t.Parallel()
	minority := answering(t, 503, `{"status":503,"detail":"no majority"}`)
	item := answering(t, 200, `{"key":"a","value":"b","revision":3}`)
	out, errs, err := saying(t.Context(), "kv", "get", "a", "-o", "yaml", "--agent", closed(t)+","+hostPort(minority), "--agent", hostPort(item))
	if err != nil || out != "---\nkey: a\nvalue: b\nrevision: 3\n" || !strings.Contains(errs, "asking "+hostPort(item)) {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	_, _, err = saying(t.Context(), "kv", "put", "a", "b", "--agent", closed(t), "--agent", hostPort(minority))
	if exitCode(err) != exitUnreached || !strings.Contains(err.Error(), "no majority") {
		t.Errorf("without a majority: %v", err)
	}
	_, _, err = saying(t.Context(), "pause", "--agent", closed(t))
	if exitCode(err) != exitUnreached || !strings.Contains(err.Error(), "is it running") || strings.Contains(err.Error(), "--cert") {
		t.Errorf("nobody: %v", err)
	}
}

// TestUnwell_IsTold has a command that waits for better times say what it waits for.
func TestUnwell_IsTold(t *testing.T) {
	t.Parallel()
	s := answering(t, 200, `{"majority":false,"shadow":false,"events":[]}`)
	for command, want := range map[string]string{"status": "no majority of agents", "shadow": "the agents act already: mode is active"} {
		if _, _, err := saying(t.Context(), command, "--exit-code", "--agent", hostPort(s)); exitCode(err) != exitUnwell || !strings.Contains(err.Error(), "not all is well: "+want) {
			t.Errorf("picket %s: %v", command, err)
		}
	}
}

func TestAgentsOf(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Agent.ID = "b"
	cfg.Agents = []config.Peer{{ID: "a", Address: "10.0.0.1:26380"}, {ID: "b", Address: "10.0.0.2:26380"}, {ID: "c", Address: "[fd00::3]:26380"}}
	for listen, want := range map[config.Addr]string{
		"127.0.0.1:26381": "[127.0.0.1:26381]", "": "[]", "[::]:81": "[[::1]:81 10.0.0.1:81 [fd00::3]:81]",
		"0.0.0.0:81": "[127.0.0.1:81 10.0.0.1:81 [fd00::3]:81]", "10.0.0.2:81": "[10.0.0.2:81 10.0.0.1:81 [fd00::3]:81]",
	} {
		cfg.Listen.HTTP = listen
		if got := fmt.Sprint(agentsOf(&cfg)); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
