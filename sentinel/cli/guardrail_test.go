package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// operated is an agent that takes down what operators ask for.
type operated struct {
	asked  []string
	pauses []picture.Pause
}

func (o *operated) Picture() picture.Picture { return picture.Picture{Pauses: o.pauses} }
func (o *operated) Alive() bool              { return true }
func (o *operated) Beside() api.Beside       { return api.Beside{} }
func (o *operated) Now() time.Time           { return time.Now() }

func (o *operated) Pause(_ context.Context, p api.PauseOrder) error {
	o.asked = append(o.asked, fmt.Sprintf("pause %q %s %s: %s", p.Master, time.Duration(p.For), p.Who, p.Why))
	o.pauses = []picture.Pause{{Master: p.Master, Who: p.Who, Why: p.Why}}
	return nil
}

func (o *operated) Resume(_ context.Context, master, who string) error {
	o.asked = append(o.asked, fmt.Sprintf("resume %q %s", master, who))
	o.pauses = nil
	if master == "unknown" {
		return picture.ErrUnknownMaster
	}
	return nil
}

func (o *operated) Acknowledge(_ context.Context, master, who string) (api.Acknowledged, error) {
	o.asked = append(o.asked, fmt.Sprintf("acknowledge %q %s", master, who))
	if master == "calm" {
		return api.Acknowledged{}, fmt.Errorf("%w: no failover of calm has ended yet", state.ErrStale)
	}
	return api.Acknowledged{Master: master, Failover: 7}, nil
}

func TestGuardrails_ReachTheAgentAndShowWhatHolds(t *testing.T) {
	agent := &operated{}
	s, err := api.Listen(api.Config{Addr: "127.0.0.1:0", Backend: agent, Rails: agent})
	if err != nil {
		t.Fatal(err)
	}
	c := At(config.Addr(s.Addr().String()))
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	g := Guardrails{Client: c, Who: "ann@host"}
	written := func(p api.Pauses, err error) string {
		var out strings.Builder
		if err == nil {
			err = WritePauses(&out, p)
		}
		return out.String() + fmt.Sprint(err)
	}
	for _, c := range []struct{ got, asked, want string }{
		{written(g.Pause(t.Context(), "m", "new rack & more", 90*time.Minute)), `pause "m" 1h30m0s ann@host: new rack & more`, "m: paused until"},
		{written(g.Pause(t.Context(), "", "", time.Hour)), `pause "" 1h0m0s ann@host: `, "all masters: paused until"},
		{written(g.Resume(t.Context(), "m")), `resume "m" ann@host`, "nothing is paused"},
		{written(g.Resume(t.Context(), "")), `resume "" ann@host`, "nothing is paused"},
		{written(g.Resume(t.Context(), "unknown")), `resume "unknown" ann@host`, "no such master"},
	} {
		if len(agent.asked) == 0 || agent.asked[0] != c.asked {
			t.Errorf("the agent was asked %q, want %q first", agent.asked, c.asked)
		}
		agent.asked = agent.asked[1:]
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s shows %q, want %q", c.asked, c.got, c.want)
		}
	}
	if a, err := g.Acknowledge(t.Context(), "m"); err != nil || a.Failover != 7 {
		t.Errorf("acknowledged %+v, %v", a, err)
	}
	if _, err := g.Acknowledge(t.Context(), "calm"); err == nil || !strings.Contains(err.Error(), "no failover of calm") {
		t.Errorf("error %v", err)
	}
	if _, err := (Guardrails{Client: g.Client}).Resume(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), "who") {
		t.Errorf("without a name: error %v", err)
	}
}
