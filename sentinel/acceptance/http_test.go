package acceptance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"picket/sentinel/api/apitest"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

// TestHTTP_TokensAsDocumented runs what docs/http.md shows of tokens, on agents with the tokens that it shows.
func TestHTTP_TokensAsDocumented(t *testing.T) {
	t.Parallel()
	tool(t, "curl", "curl")
	var section, commands string
	for _, b := range documents(t) {
		switch {
		case b.file == "http.md" && b.language == "yaml":
			section = b.text[strings.Index(b.text, "http:"):]
		case b.file == "http.md" && b.language == "bash":
			commands = b.text
		}
	}
	// The lab looks at its agents without a token.
	section = strings.Replace(section, "anonymous: none", "anonymous: local", 1)
	_, c := start(t, func(o *lab.ClusterOptions) { o.File = strings.Split(section, "\n") })
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(commands, "127.0.0.1:26381", string(c.Agents[0].HTTP))), "\n")
	if len(lines) < 3 {
		t.Fatalf("the document shows only %q", lines)
	}
	for _, line := range lines {
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	refused := strings.Replace(lines[1], "8e4c1a7b9f02463d8c55", "2b1f0d8f6a3c4e57a9d2", 1) // which may only read
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", refused).CombinedOutput(); err == nil || !strings.Contains(string(out), "403") {
		t.Errorf("%s: %v\n%s", refused, err, out)
	}
	p, err := c.Agents[0].Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.Events {
		if e.Type == state.PauseBegun && e.Data.Who != "token ops" {
			t.Errorf("the pause is of %q", e.Data.Who)
		}
	}
}

// TestHTTP_AnswersAreAsDescribed asks real agents, before and after a failover, and compares what they say with the description that they serve.
func TestHTTP_AnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	ask := func(a *lab.Agent, path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(a.HTTP)+path, nil)
		if err != nil {
			return nil, err
		}
		return http.DefaultClient.Do(r)
	}
	answer, err := ask(c.Agents[0], "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	checker, err := apitest.New(text)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for _, path := range strings.Fields(fmt.Sprintf(`/v1/status /v1/masters /v1/masters/%[1]s /v1/masters/none /v1/agents /v1/members /v1/events /v1/history
			/v1/history/1 /v1/masters/%[1]s/why /v1/masters/%[1]s/plan?fail=%[2]s /v1/masters/%[1]s/rehearsal /v1/blocked /v1/pause /v1/kv/?prefix /v1/webhooks
			/v1/whoami /primary /replica?lag=1MB /read-only /leader /health /readyz /livez /nowhere`, lab.MasterName, c.Redis[0].Addr)) {
			for _, a := range c.Agents {
				answer, err := ask(a, path)
				if err != nil {
					t.Fatal(err)
				}
				where, _, _ := strings.Cut(path, "?")
				if err := checker.Check(http.MethodGet, where, answer); err != nil {
					t.Error(err)
				}
				_ = answer.Body.Close()
			}
		}
	}
	check()
	old := c.Redis[0]
	old.Kill()
	check() // in the midst of it
	next := newMaster(t, c, old.Addr)
	check()
	if err := lab.Await(patience, "exactly one agent calls its Redis the primary", func(context.Context) error {
		for i, r := range c.Redis {
			answer, err := ask(c.Agents[i], "/primary")
			if err != nil {
				return err
			}
			_ = answer.Body.Close()
			if (answer.StatusCode == http.StatusOK) != (r.Addr == next.Addr) {
				return fmt.Errorf("%s: %d", r.Addr, answer.StatusCode)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
