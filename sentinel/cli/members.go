package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/picture"
)

// Members reads and changes the membership of the group by way of an agent, which passes changes on to the leader.
type Members struct {
	Client *Client
}

// List tells who the members are, as the agent knows.
func (m Members) List(ctx context.Context) (api.Members, error) {
	return m.call(ctx, http.MethodGet, "", nil)
}

// Add lets a server in that may not run yet; it gets its vote when it has caught up. A member's address is changed.
func (m Members) Add(ctx context.Context, id string, address config.Addr) (api.Members, error) {
	return m.call(ctx, http.MethodPut, "/"+url.PathEscape(id), api.Address{Address: address})
}

// Remove takes a member out.
func (m Members) Remove(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodDelete, "/"+url.PathEscape(id), nil)
}

// Promote gives a member its vote now.
func (m Members) Promote(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/promote", nil)
}

// Transfer has a member lead.
func (m Members) Transfer(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/lead", nil)
}

func (m Members) call(ctx context.Context, method, path string, order any) (members api.Members, err error) {
	return members, m.Client.call(ctx, method, "/v1/members"+path, order, &members)
}

// WriteMembers writes the members as a table.
func WriteMembers(out io.Writer, m api.Members) error {
	newest := uint64(0)
	for _, a := range m.Members {
		newest = max(newest, a.Commit)
	}
	var members grid
	members.head("ID", "ROLE", "VOTES", "ADDRESS", "LOG", "STATE")
	for _, a := range m.Members {
		members.row(a.ID, orDash(a.Role), votes(a), a.Peer, behind(a, newest), agentState(a))
	}
	if err := members.write(out); err != nil {
		return fmt.Errorf("write the members: %w", err)
	}
	return nil
}

func votes(a picture.Agent) string {
	switch {
	case !a.Voter:
		return "not yet"
	case a.Witness:
		return "yes (witness: no Redis beside it)"
	}
	return "yes"
}

func behind(a picture.Agent, newest uint64) string {
	switch {
	case a.Commit == 0:
		return "-"
	case a.Commit == newest:
		return fmt.Sprint(a.Commit)
	}
	return fmt.Sprintf("%d (%d behind)", a.Commit, newest-a.Commit)
}
