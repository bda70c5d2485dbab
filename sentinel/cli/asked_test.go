package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"picket/sentinel/api"
)

// TestAsked compares what agents are asked for.
func TestAsked(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for want, do := range map[string]func(context.Context, *Client) error{
		"DELETE /v1/webhooks/o%2Fps/dead?id=c-7&who=ann ": func(ctx context.Context, c *Client) error {
			_, err := Webhooks{c, "ann"}.Drop(ctx, "o/ps", "c-7")
			return err
		},
		"DELETE /v1/webhooks/ops/dead?who=ann ": func(ctx context.Context, c *Client) error {
			_, err := Webhooks{c, "ann"}.Drop(ctx, "ops", "")
			return err
		},
		`POST /v1/webhooks/ops/redeliver {"id":"c-7","who":"ann"}`: func(ctx context.Context, c *Client) error {
			_, err := Webhooks{c, "ann"}.Redeliver(ctx, "ops", api.RedeliverOrder{ID: "c-7"})
			return err
		},
		"GET /v1/masters/m/why? ": func(ctx context.Context, c *Client) error {
			_, err := Reasons{c}.Why(ctx, "m", time.Time{})
			return err
		},
		"GET /v1/masters/m/why?at=2026-01-02T02%3A04%3A05Z ": func(ctx context.Context, c *Client) error {
			_, err := Reasons{c}.Why(ctx, "m", at)
			return err
		},
		"GET /v1/history?limit=3&master=m ": func(ctx context.Context, c *Client) error {
			_, err := History(ctx, c, "m", 3)
			return err
		},
		"GET /v1/history?limit=3 ": func(ctx context.Context, c *Client) error {
			_, err := History(ctx, c, "", 3)
			return err
		},
	} {
		got := ""
		err := do(t.Context(), bubble(played(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)
			fmt.Fprint(w, "{}")
		})))
		if err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
