package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"picket/sentinel/api"
	"picket/sentinel/picture"
)

// Guardrails hold the agents back and let them go on, by way of one of them.
type Guardrails struct {
	Client *Client
	Who    string // asks for it
}

// Pause has nothing begin by itself, for one master or, without a name, for all.
func (g Guardrails) Pause(ctx context.Context, master, why string, length time.Duration) (p api.Pauses, err error) {
	return p, g.Client.call(ctx, http.MethodPost, "/v1/pause", api.PauseOrder{Master: master, For: api.Length(length), Who: g.Who, Why: why}, &p)
}

// Resume ends the pause of one master or, without a name, the one of all.
func (g Guardrails) Resume(ctx context.Context, master string) (p api.Pauses, err error) {
	return p, g.Client.call(ctx, http.MethodDelete, "/v1/pause?"+url.Values{"master": {master}, "who": {g.Who}}.Encode(), nil, &p)
}

// Acknowledge lifts the cool-down after the last failover of a master.
func (g Guardrails) Acknowledge(ctx context.Context, master string) (a api.Acknowledged, err error) {
	path := "/v1/masters/" + url.PathEscape(master) + "/acknowledge?" + url.Values{"who": {g.Who}}.Encode()
	return a, g.Client.call(ctx, http.MethodPost, path, nil, &a)
}

// WritePauses writes the pauses that hold, a line each.
func WritePauses(out io.Writer, p api.Pauses) error {
	text := ""
	for _, pause := range p.Pauses {
		master := "all masters"
		if pause.Master != "" {
			master = pause.Master
		}
		text += fmt.Sprintf("%s: paused %s\n", master, describePause(pause))
	}
	if text == "" {
		text = "nothing is paused\n"
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("write the pauses: %w", err)
	}
	return nil
}

// describePause tells until when a pause lasts, whose it is, and why.
func describePause(p picture.Pause) string {
	text := fmt.Sprintf("until %s by %s", p.Until.Local().Format(time.DateTime), p.Who)
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}
