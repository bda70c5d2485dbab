package sentinelconf

import (
	"os"
	"strings"
	"testing"
	"time"

	"picket/config"
)

// after is what is known some time after testdata/real/rewritten.conf was read: another failover, another replica, and settings of all kinds.
func after() Known {
	m := config.MonitoredMaster()
	m.Name, m.Quorum, m.DownAfter, m.Password = "shop", 3, 7*time.Second, `two words "quoted"`
	m.RenameCommands, m.ParallelSyncs, m.Username = []config.Rename{{Command: "CONFIG", As: "abc"}}, 2, "watcher"
	other := config.MonitoredMaster()
	other.Name, other.Quorum, other.PasswordFile, other.Password = "o'ther", 1, "/file", "hunter2"
	peers := []KnownPeer{{"62df5d871bd163efac17d115ae4c7fed98cfe596", "10.0.0.3", 26379}, {"aaaa", "10.0.0.4", 26379}}
	return Known{
		MyID: "bbbb", Epoch: 9, Removed: []string{"gone"}, Set: map[string]string{"announce-ip": "", "announce-port": "36379", "sentinel-pass": "with space"},
		Masters: []KnownMaster{
			{Settings: &m, Address: "10.0.0.3:6379", Epoch: 9, Replicas: []config.Addr{"10.0.0.1:6379", "10.0.0.2:6379", "10.0.0.4:6379"}, Peers: peers},
			{Settings: &other, Address: "[fd00::1]:6380"},
		},
	}
}

func TestRewrite(t *testing.T) {
	text, err := os.ReadFile("testdata/real/rewritten.conf")
	if err != nil {
		t.Fatal(err)
	}
	odd := "sentinel monitor gone 10.0.0.9 1 1\nSENTINEL Down-After-Milliseconds   elsewhere 5\n" + // one was removed, the other is not known yet
		"sentinel known-slave shop 10.0.0.1 6379\nsentinel parallel-syncs o'ther' 1\n"
	odd = strings.Replace(odd, "o'ther'", `"o'ther"`, 1)
	got, err := Rewrite(string(text)+odd, after())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/rewrite.txt", got)
	again, err := Rewrite(got, after())
	if err != nil || again != got {
		t.Errorf("the same again gives\n%s (%v)", again, err)
	}
}

// TestRewrite_IsReadAsItWasMeant reads what was written: nothing is lost to spaces and quotes.
func TestRewrite_IsReadAsItWasMeant(t *testing.T) {
	text, err := Rewrite("", after())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Read(Source{Input: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	m := c.Layer.Over["masters"].([]any)[0].(map[string]any)
	if m["password"] != `two words "quoted"` || m["down-after"] != "7s" || m["address"] != "10.0.0.3:6379" {
		t.Errorf("got %v of\n%s", m, text)
	}
	if other := c.Layer.Over["masters"].([]any)[1].(map[string]any); other["name"] != "o'ther" || other["password"] != nil {
		t.Errorf("got %v of\n%s", other, text)
	}
}

func TestRewrite_RefusesWhatItCannotRead(t *testing.T) {
	if _, err := Rewrite("port 1\nsentinel auth-pass m \"x\n", after()); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v", err)
	}
}

// FuzzRewrite finds no file in which the same again changes something.
func FuzzRewrite(f *testing.F) {
	f.Add("sentinel monitor shop 10.0.0.1 6379 2\nsentinel known-slave shop 10.0.0.1 1\n# so\n\n\nsentinel x\nsentinel auth-pass shop 'a b'")
	f.Fuzz(func(t *testing.T, text string) {
		once, err := Rewrite(text, after())
		if err != nil {
			return
		}
		if twice, err := Rewrite(once, after()); err != nil || twice != once {
			t.Errorf("%q became %q, and then %q (%v)", text, once, twice, err)
		}
	})
}
