package sentinel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// purpose is what an election is for.
type purpose string

const (
	forDown   purpose = "down"   // masters are objectively down
	forResume purpose = "resume" // the leader that ran their failovers is gone
	forManual purpose = "manual" // somebody asked for a failover
	forFollow purpose = "follow" // another coordinator has switched, and the agents, which only watch, follow it
)

// reason is what a failure election is held for: a failover may begin only in a term whose election named its master.
// As text it is "down:cache,sessions"; names of masters hold neither comma nor colon.
type reason struct {
	purpose purpose
	masters []string // sorted
}

// maxReason bounds what is read from a peer: some thousand names.
const maxReason = 64 << 10

func (r reason) encode() []byte {
	return []byte(string(r.purpose) + ":" + strings.Join(r.masters, ","))
}

func decodeReason(data []byte) (reason, error) {
	if len(data) > maxReason {
		return reason{}, fmt.Errorf("a reason of %d bytes is too long", len(data))
	}
	name, list, ok := strings.Cut(string(data), ":")
	r := reason{purpose: purpose(name)}
	if !ok || !slices.Contains([]purpose{forDown, forResume, forManual, forFollow}, r.purpose) {
		return reason{}, fmt.Errorf("%.40q is not a reason for an election", data)
	}
	if r.masters = strings.Split(list, ","); slices.Contains(r.masters, "") {
		return reason{}, errors.New("a reason for an election lacks the name of a master")
	}
	return r, nil
}

// names says whether the election is for the master.
func (r reason) names(master string) bool { return slices.Contains(r.masters, master) }

// electedFor decodes the reason of a term's election; the zero reason names nobody.
func electedFor(data []byte) reason {
	r, err := decodeReason(data)
	if err != nil {
		return reason{} // an ordinary election, or one of a version that this one doesn't understand
	}
	return r
}
