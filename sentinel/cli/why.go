package cli

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"picket/failover"
	"picket/sentinel/api"
)

// Reasons asks an agent what was decided, and what would be.
type Reasons struct {
	Client *Client
}

// Why asks about a master; the zero time is now.
func (r Reasons) Why(ctx context.Context, master string, at time.Time) (w api.Why, err error) {
	query := url.Values{}
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339))
	}
	return w, r.get(ctx, "/v1/masters/"+url.PathEscape(master)+"/why?"+query.Encode(), &w)
}

// Plan asks what would happen if servers failed, and perhaps agents.
func (r Reasons) Plan(ctx context.Context, master string, servers, agents []string) (f failover.Forecast, err error) {
	query := url.Values{"fail": servers, "fail-agent": agents}
	return f, r.get(ctx, "/v1/masters/"+url.PathEscape(master)+"/plan?"+query.Encode(), &f)
}

// Blocked lists the masters for which nothing can be done now.
func (r Reasons) Blocked(ctx context.Context) (list []api.Blocked, err error) {
	return list, r.get(ctx, "/v1/blocked", &list)
}

func (r Reasons) get(ctx context.Context, path string, into any) error {
	return r.Client.call(ctx, http.MethodGet, path, nil, into)
}
