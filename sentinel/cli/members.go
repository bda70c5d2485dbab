package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/picture"
)

// Members reads and changes the membership of the group by way of an agent, which passes changes on to the leader.
type Members struct {
	Agent config.Addr // of its HTTP port
}

// List tells who the members are, as the agent knows.
func (m Members) List(ctx context.Context) (api.Members, error) {
	return m.call(ctx, http.MethodGet, "", "")
}

// Add lets a server in that may not run yet; it gets its vote when it has caught up. A member's address is changed.
func (m Members) Add(ctx context.Context, id string, address config.Addr) (api.Members, error) {
	body, err := json.Marshal(api.Address{Address: address})
	if err != nil {
		return api.Members{}, fmt.Errorf("ask the agent: %w", err)
	}
	return m.call(ctx, http.MethodPut, "/"+url.PathEscape(id), string(body))
}

// Remove takes a member out.
func (m Members) Remove(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodDelete, "/"+url.PathEscape(id), "")
}

// Promote gives a member its vote now.
func (m Members) Promote(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/promote", "")
}

// Transfer has a member lead.
func (m Members) Transfer(ctx context.Context, id string) (api.Members, error) {
	return m.call(ctx, http.MethodPost, "/"+url.PathEscape(id)+"/lead", "")
}

func (m Members) call(ctx context.Context, method, path, body string) (api.Members, error) {
	var members api.Members
	response, err := send(ctx, m.Agent, method, "/v1/members"+path, nil, body)
	if err != nil {
		return members, err
	}
	return members, receive(response, &members)
}

// WriteMembers writes the members as a table.
func WriteMembers(out io.Writer, m api.Members) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROLE\tVOTES\tADDRESS\tLOG\tSTATE")
	newest := uint64(0)
	for _, a := range m.Members {
		newest = max(newest, a.Commit)
	}
	for _, a := range m.Members {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.ID, orDash(a.Role), votes(a), a.Peer, behind(a, newest), presence(a))
	}
	if err := w.Flush(); err != nil {
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

func presence(a picture.Agent) string {
	switch {
	case a.Self:
		return "up (this one)"
	case a.Up:
		return "up"
	}
	return "not heard"
}
