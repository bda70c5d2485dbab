package monitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"picket/config"
)

// TestFacts plays scripts: each line is a time in milliseconds since the first look and what happened then. The answer says
// how the opinion changed, and when.
func TestFacts(t *testing.T) {
	datadriven.Walk(t, "testdata/facts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			f := newFacts(Target{Addr: "a:1", IsMaster: d.HasArg("master"),
				Settings: &config.Master{DownAfter: time.Second, CrashGrace: 50 * time.Millisecond,
					RebootDownAfter: 5 * time.Second}}, noon)
			var out strings.Builder
			before := f.State
			tell := func(at time.Time) {
				if f.State != before {
					fmt.Fprintf(&out, "%d ms: %s\n", at.Sub(noon).Milliseconds(), opinionText(f))
					before = f.State
				}
			}
			for line := range strings.SplitSeq(strings.TrimSpace(d.Input), "\n") {
				var ms int64
				var what string
				if _, err := fmt.Sscan(line, &ms, &what); err != nil {
					d.Fatalf(t, "%q: %v", line, err)
				}
				at := noon.Add(time.Duration(ms) * time.Millisecond)
				for next := f.tick(noon); !next.IsZero() && next.Before(at); next = f.tick(next) {
					f.tick(next)
					tell(next)
					if f.State == Down {
						break
					}
				}
				happen(t, d, f, at, what)
				f.tick(at)
				tell(at)
			}
			if out.Len() == 0 {
				return fmt.Sprintf("stays %s\n", opinionText(f))
			}
			return out.String()
		})
	})
}

func happen(t *testing.T, d *datadriven.TestData, f *facts, at time.Time, what string) {
	switch what {
	case "ping":
		f.sent(at)
	case "pong":
		f.replied(at, nil, "")
	case "master", "slave":
		f.replied(at, &Observation{Role: what, At: at}, "")
	case "loading", "loads-anew": // the same process, another one
		f.replied(at, &Observation{Role: "master", At: at, Loading: true, RunID: what}, "")
	case "error":
		f.replied(at, nil, "NOAUTH")
	case "connected":
		f.connected()
	case "lost":
		f.lost(at)
	case "refused":
		f.refused(at)
	case "unreachable":
		f.unreachable(at, "no route")
	case "stall":
		f.stalled(at)
	case "look":
	default:
		d.Fatalf(t, "unknown event %q", what)
	}
}

func opinionText(f *facts) string {
	return [...]string{"unknown", "up", "down"}[f.State] + " (" + [...]string{
		"no evidence", "answered", "refused", "timed out", "unreachable", "bad reply", "wrong role", "still loading"}[f.Evidence] + ")"
}

func FuzzParseInfo(f *testing.F) {
	f.Add("# Replication\r\nrole:master\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=5,lag=1\r\nmaster_repl_offset:5\r\n")
	f.Add("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:99999999999999999999\r\nmaster_last_io_seconds_ago:-1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseInfo("a:1", noon, text)
		if err == nil && (o.Role != "master" && o.Role != "slave" || len(o.Replicas) > maxAttached || o.LinkDown < 0) {
			t.Fatalf("%+v", o)
		}
	})
}

func TestParseInfo(t *testing.T) {
	datadriven.RunTest(t, "testdata/info.txt", func(t *testing.T, d *datadriven.TestData) string {
		o, err := ParseInfo("10.0.0.9:6379", noon, d.Input)
		if err != nil {
			return err.Error() + "\n"
		}
		return fmt.Sprintf("role %s version %s run %s uptime %s loading %v\nreplid %s second %s offset %d received %d until %d\n"+
			"master %s link up %v down %s last io %s syncing %v priority %d unlisted %v\nreplicas %v\n",
			o.Role, o.Version, o.RunID, o.Uptime, o.Loading, o.ReplID, o.ReplID2, o.Offset, o.Received, o.Second,
			o.Master, o.LinkUp, o.LinkDown, o.LastIO, o.Syncing, o.Priority, o.Unlisted, o.Replicas)
	})
}
