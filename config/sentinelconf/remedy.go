package sentinelconf

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"picket/config"
)

// peersPort is where agents expect each other by default, next to the Sentinel port.
const peersPort = 26380

// remedies say how to give what Sentinel's file can't hold.
func (b *builder) remedies() {
	b.conf.Layer.Remedies["agents"] = fmt.Sprintf("say on every host which agents there are, in the environment: %s (or as `agents:` in picket.yaml, or with "+
		"--cluster-peers)", b.peersLine())
	b.conf.Layer.Remedies["agent.id"] = "say which of the agents this is: PICKET_AGENT_ID=ID in its environment, or --agent-id ID"
}

// peersLine guesses the agents: this Sentinel, and those that it knew. Of those, only the hosts are known: agents talk to each other on a port of
// their own.
func (b *builder) peersLine() string {
	me := peer{host: "THIS-HOST", port: cmp.Or(b.listen.port, b.listen.tlsPort)}
	if host, ok := b.announced(); ok {
		me.host = host
	} else if name, err := os.Hostname(); err == nil && len(b.peers) > 0 {
		me.host = name
	}
	all := append([]peer{me}, b.peers...)
	if len(b.peers) == 0 {
		all = append(all, peer{host: "SECOND-HOST", port: me.port}, peer{host: "THIRD-HOST", port: me.port})
	}
	hosts := map[string]int{}
	for _, p := range all {
		hosts[p.host]++
	}
	entries := make([]string, len(all))
	for i, p := range all {
		id, port := strings.ReplaceAll(p.host, ":", "-"), peersPort
		if hosts[p.host] > 1 { // then a port can't be the same for all
			id, port = fmt.Sprintf("%s-%d", id, p.port), (p.port+10_000)%(1<<16)
		}
		entries[i] = fmt.Sprintf("%s=%s", id, config.NewAddr(p.host, port))
	}
	return "PICKET_CLUSTER_PEERS=" + strings.Join(entries, ",")
}

// announced is the address under which this Sentinel was known.
func (b *builder) announced() (host string, ok bool) {
	group, _ := b.conf.Layer.Over["announce"].(map[string]any)
	host, ok = group["host"].(string)
	return host, ok
}
