package config

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// layer is what a sentinel.conf may become.
func layer() Layer {
	return Layer{
		File:  "sentinel.conf",
		Over:  map[string]any{"masters": []any{map[string]any{"name": "mymaster", "address": "10.0.0.1:6379", "down-after": "5s"}}},
		Under: map[string]any{"cluster": "picket", "agent": map[string]any{"data-dir": "/under"}},
		Master: map[string]any{
			"down-after": "30s", "failover-timeout": "180s", "parallel-syncs": 2,
		},
		Places:   map[string]Place{"masters[0]": {"sentinel.conf", 3}, "masters[0].down-after": {"sentinel.conf", 4}},
		Remedies: map[string]string{"agents": "add this line"},
	}
}

func TestLoadLayer_TheLayerWinsOverTheFileAndTheFileOverWhatIsUnderIt(t *testing.T) {
	file := write(t, "picket.yaml", `
agent: {id: a1, zone: west}
agents: [{id: a1, address: "10.0.0.1:26380"}]
masters: [{name: mymaster, down-after: 7s, parallel-syncs: 3, empty-master: accept}]
`)
	t.Setenv("PICKET_AGENT_ZONE", "east")
	c, err := LoadLayer(file, layer(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Cluster != "picket" || c.Agent.DataDir != "/under" || c.Agent.Zone != "east" || len(c.Masters) != 1 {
		t.Errorf("got %+v", *c)
	}
	if m := c.Masters[0]; m.Address != "10.0.0.1:6379" || m.DownAfter != 5*time.Second || m.ParallelSyncs != 3 || m.EmptyMaster != EmptyAccept {
		t.Errorf("got %+v", m)
	}
}

func TestLoadLayer_WithoutAFile(t *testing.T) {
	t.Setenv(peersVariable, "a1=10.0.0.1:26380, a2=10.0.0.2:26380")
	l := layer()
	delete(l.Over["masters"].([]any)[0].(map[string]any), "down-after")
	c, err := LoadLayer("", l, parsedFlags(t, "--agent-id=a2"))
	if err != nil {
		t.Fatal(err)
	}
	if m := c.Masters[0]; m.DownAfter != 30*time.Second || m.ParallelSyncs != 2 || m.Quorum != 2 {
		t.Errorf("got %+v", m)
	}
}

// TestLoadLayer_QuorumAboveTheAgents is what SENTINEL SET may leave behind: the agent starts, and says what that means.
func TestLoadLayer_QuorumAboveTheAgents(t *testing.T) {
	t.Setenv(peersVariable, "a1=10.0.0.1:26380, a2=10.0.0.2:26380")
	l := layer()
	l.Over["masters"].([]any)[0].(map[string]any)["quorum"] = 5
	c, err := LoadLayer("", l, parsedFlags(t, "--agent-id=a2"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "masters[0].quorum: mymaster can't fail over: 5 agents must find it down, and there are 2; a majority is 2"
	if c.Masters[0].Quorum != 5 || !slices.Contains(c.Warnings(), want) {
		t.Errorf("got %d, %q", c.Masters[0].Quorum, c.Warnings())
	}
}

func TestLoadLayer_ErrorsNameThePlace(t *testing.T) {
	const agent = "agent: {id: a1}\n"
	for name, tc := range map[string]struct{ file, downAfter, want string }{
		"the layer":          {agent, "5ms", `sentinel.conf:4: masters[0].down-after: got 5ms: is too short`},
		"the layer's master": {agent + "agents: [{id: a1, address: '10.0.0.1:1'}]\nmasters:\n- name: mymaster\n  lease: 9s\n", "5s", `picket.yaml:5: masters[0].lease: got 9s: is not shorter`},
		"a master too many":  {agent + "masters:\n- name: other\n", "5s", `picket.yaml:3: masters[0]: is not among the masters of sentinel.conf`},
		"what is missing":    {agent, "5s", `picket.yaml: agents: is missing; add this line`},
	} {
		t.Run(name, func(t *testing.T) {
			l := layer()
			l.Over["masters"].([]any)[0].(map[string]any)["down-after"] = tc.downAfter
			_, err := LoadLayer(write(t, "picket.yaml", tc.file), l, nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestLoad_AgentsOfTheEnvironment(t *testing.T) {
	file := write(t, "picket.yaml", least)
	for _, tc := range []struct{ peers, want string }{
		{"a1=10.0.0.9:1,a2=[fd00::1]:2", ""},
		{"a1=10.0.0.9:1,a2", `PICKET_CLUSTER_PEERS: agents: got "a1=10.0.0.9:1,a2": is not ID=HOST:PORT`},
		{"a1=10.0.0.9", `PICKET_CLUSTER_PEERS: agents[0].address: got "10.0.0.9": is not HOST:PORT`},
		{"a2=10.0.0.9:1", `agent.id: got "a1": is not among the agents`},
	} {
		t.Setenv(peersVariable, tc.peers)
		c, err := Load(file, nil)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.peers, err, tc.want)
			}
			continue
		}
		if err != nil || len(c.Agents) != 2 || c.Agents[1] != (Peer{"a2", "[fd00::1]:2"}) {
			t.Errorf("%s: got %+v, %v", tc.peers, c, err)
		}
	}
}

func TestLoad_AnAgentIsTheOneThatIsCalledLikeItsHost(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	t.Setenv(peersVariable, "other=10.0.0.1:1,"+host+"=10.0.0.2:1")
	c, err := Load(write(t, "picket.yaml", "cluster: main\nmasters: [{name: m, address: '10.0.0.1:6379'}]\n"), nil)
	if err != nil || c.Agent.ID != host {
		t.Errorf("got %v, %v; want %s", c, err, host)
	}
}

func TestLoadLayer_FillsInWhatFollows(t *testing.T) {
	for name, tc := range map[string]struct {
		peers, yaml  string
		servers      []Addr
		wantPeers    Addr
		wantLocal    Addr
		wantWarnings int // beside that of the number of agents
	}{
		"the port of the agents is this one's": {"a1=10.0.0.1:36380", "", nil, "0.0.0.0:36380", "", 2},
		"where clients are listened for":       {"a1=10.0.0.7:36380", "", nil, "10.0.0.7:36380", "", 2},
		"the file knows better":                {"a1=10.0.0.1:36380", "listen: {peers: 0.0.0.0:5}\n", nil, "0.0.0.0:5", "", 2},
		"the Redis of this host":               {"a1=10.0.0.1:1", "", []Addr{"10.0.0.2:6379", "10.0.0.1:6380"}, "0.0.0.0:1", "10.0.0.1:6380", 1},
		"it is told twice":                     {"a1=10.0.0.1:1", "", []Addr{"10.0.0.1:6380", "10.0.0.1:6380"}, "0.0.0.0:1", "10.0.0.1:6380", 1},
		"it is spelled otherwise":              {"a1=10.0.0.1:1", "", []Addr{"[::ffff:10.0.0.1]:6380", "nonsense"}, "0.0.0.0:1", "10.0.0.1:6380", 1},
		"there are two":                        {"a1=10.0.0.1:1", "", []Addr{"10.0.0.1:6379", "10.0.0.1:6380"}, "0.0.0.0:1", "", 2},
		"the file knows the Redis":             {"a1=10.0.0.1:1", "local: 127.0.0.1:7\n", []Addr{"10.0.0.1:6379"}, "0.0.0.0:1", "127.0.0.1:7", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(peersVariable, tc.peers)
			l := layer()
			l.Hosts, l.Servers, l.Warnings = []string{"127.0.0.1", "10.0.0.7"}, tc.servers, []string{"look out"}
			c, err := LoadLayer(write(t, "picket.yaml", "agent: {id: a1}\n"+tc.yaml), l, nil)
			if err != nil {
				t.Fatal(err)
			}
			if w := c.Warnings(); c.Listen.Peers != tc.wantPeers || c.Local != tc.wantLocal || len(w) != tc.wantWarnings+1 || w[0] != "look out" {
				t.Errorf("got peers %s, local %q, warnings %q", c.Listen.Peers, c.Local, w)
			}
		})
	}
}

func TestLoadLayer_MastersMayComeLater(t *testing.T) {
	t.Setenv(peersVariable, "a1=10.0.0.1:1")
	l := layer()
	l.Over["masters"] = []any{}
	c, err := LoadLayer("", l, parsedFlags(t, "--agent-id=a1"))
	if err != nil || !strings.Contains(strings.Join(c.Warnings(), "\n"), "SENTINEL MONITOR") {
		t.Errorf("got %v, %v", c, err)
	}
}

func TestLoadLayer_RewritesOnlyWhatCanBe(t *testing.T) {
	t.Setenv(peersVariable, "a1=10.0.0.1:1")
	for _, tc := range []struct{ word, fixed, want, wantErr string }{
		{RewriteNone, "", "", ""},
		{RewriteSentinel, "", "sentinel.conf", ""},
		{RewriteNone, "it has moved", "", ""},
		{RewriteSentinel, "it has moved", "", `sentinel.conf can't be rewritten: it has moved; write none`},
	} {
		l := layer()
		l.Fixed = tc.fixed
		c, err := LoadLayer("", l, parsedFlags(t, "--agent-id=a1", "--config-rewrite="+tc.word))
		switch {
		case tc.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
				t.Errorf("%+v: got %v", tc, err)
			}
		case err != nil || c.SentinelConf() != tc.want:
			t.Errorf("%+v: got %v, %v", tc, c, err)
		}
	}
}

func TestLoad_AnAgentIsTheOneAtAnAddressOfItsHost(t *testing.T) {
	file := write(t, "picket.yaml", "cluster: main\nmasters: [{name: m, address: '127.0.0.1:6379'}]\n")
	for _, tc := range []struct{ peers, announce, want string }{
		{"one=127.0.0.9:1,two=127.0.0.1:1", "", "two"},
		{"one=127.0.0.9:1,two=127.0.0.1:1", "127.0.0.9", "one"},
		{"one=127.0.0.9:1,two=127.0.0.8:1", "two", "two"},
		{"one=127.0.0.1:2,two=127.0.0.1:1", "", ""},
		{"one=127.0.0.9:1,two=127.0.0.8:1", "127.0.0.7", ""},
	} {
		t.Setenv(peersVariable, tc.peers)
		t.Setenv("PICKET_ANNOUNCE_HOST", tc.announce)
		switch c, err := Load(file, nil); {
		case tc.want == "":
			if err == nil || !strings.Contains(err.Error(), "agent.id: is missing") {
				t.Errorf("%+v: got %v", tc, err)
			}
		case err != nil || c.Agent.ID != tc.want:
			t.Errorf("%+v: got %v, %v", tc, c, err)
		}
	}
}
