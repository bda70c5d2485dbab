package lab

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"picket/config"
	"picket/sentinel/picture"
)

// MasterName is the name under which a cluster's agents watch its master.
const MasterName = "mymaster"

// ClusterOptions shapes a cluster: hosts with a Redis and an agent each.
type ClusterOptions struct {
	Program string   // the picket binary
	Hosts   int      // 0: three
	Network *Network // whose first hosts they are; nil: this machine is all of them
	// Of the watched master; zero values are the program's defaults.
	DownAfter, CrashGrace, FailoverTimeout time.Duration
	Cooldown                               *time.Duration
	Webhook                                *config.Webhook
	Shadow                                 bool            // the agents only watch
	Servers                                []*Redis        // that run already, the first as the master; nil: new ones
	LogLevel                               string          // default debug: logs go to files
	Settings                               []string        // more of the watched master's, a line each
	Redis                                  []string        // more configuration lines of each new server
	Renames                                []config.Rename // commands that the servers know by other names
	File                                   []string        // more lines of the agents' files
	Loopback                               string          // the IP address of everything, where it is on this machine; empty: 127.0.0.1
	OpenHTTP                               bool            // the agents' HTTP ports are reached from other hosts of the network, too
	LeastPrivilege                         bool            // the agents log in to new servers as a user who may do no more than they need
	Named                                  string          // host by which the agents' files know the first master; empty: by its IP address
}

// host gives the i-th host.
func (o ClusterOptions) host(i int) *Host {
	if o.Network == nil {
		return nil
	}
	return o.Network.Hosts[i]
}

// secret is the webhook's, in the clear, as only its file may show it.
func (o ClusterOptions) secret() string {
	if o.Webhook == nil {
		return ""
	}
	return string(o.Webhook.Secret)
}

// Cluster is n redis-servers, the first started as the master, and n agents.
type Cluster struct {
	Redis  []*Redis
	Agents []*Agent
	lab    *Lab
	opts   ClusterOptions
}

// Agent is one `picket run` process.
type Agent struct {
	*Process
	ID                    string
	Host                  *Host
	Dir                   string // data directory, below it everything it keeps
	Sentinel, Peers, HTTP config.Addr
	Local                 config.Addr
	program, conf         string
}

//go:embed picket.yaml.tmpl
var agentTemplate string

// StartCluster starts everything and waits until every agent sees the whole topology and one leader.
func (l *Lab) StartCluster(opts ClusterOptions) (*Cluster, error) {
	if opts.Hosts == 0 {
		opts.Hosts = 3
	}
	if opts.LogLevel == "" {
		opts.LogLevel = "debug"
	}
	servers := opts.Servers
	if servers == nil && opts.LeastPrivilege {
		if err := os.WriteFile(l.PasswordFile(), []byte(Password+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write the agents' password: %w", err)
		}
		opts.Redis = append(slices.Clone(opts.Redis), "requirepass "+ClientPassword, "masterauth "+ClientPassword, "user "+User+" on >"+Password+" "+ACL)
	}
	if servers == nil {
		var err error
		if servers, err = l.startReplicated(opts); err != nil {
			return nil, err
		}
	}
	c := &Cluster{Redis: servers, lab: l, opts: opts}
	for i, r := range servers {
		if err := c.newAgent(fmt.Sprintf("agent-%d", i+1), r.Host, r.Addr); err != nil {
			return nil, err
		}
	}
	for _, a := range c.Agents { // they must know all addresses
		if err := c.configure(a); err != nil {
			return nil, err
		}
	}
	for _, a := range c.Agents {
		if err := a.Start(); err != nil {
			return nil, err
		}
	}
	if err := c.awaitListened(20 * time.Second); err != nil {
		return nil, err
	}
	return c, c.AwaitSettled(20*time.Second, c.Redis[0].Addr)
}

// awaitListened waits until every agent may act.
func (c *Cluster) awaitListened(limit time.Duration) error {
	return Await(limit, "the agents know whether they are alone", func(ctx context.Context) error {
		for _, a := range c.Agents {
			if p, err := a.Status(ctx); err != nil || p.Listening {
				return fmt.Errorf("%s listens for other coordinators (error: %v)", a.ID, err)
			}
		}
		return nil
	})
}

// startReplicated starts a master and its replicas.
func (l *Lab) startReplicated(opts ClusterOptions) ([]*Redis, error) {
	var servers []*Redis
	for i := range opts.Hosts {
		server := RedisOptions{Host: opts.host(i), Loopback: opts.Loopback, Lines: opts.Redis, Renames: opts.Renames}
		if len(servers) > 0 {
			server.ReplicaOf = servers[0].Addr
		}
		r, err := l.StartRedis(server)
		if err != nil {
			return nil, err
		}
		servers = append(servers, r)
	}
	return servers, nil
}

// AddAgent prepares another agent, which is not started; without a local Redis it is a witness. Its file lists the agents that run
// now, and itself.
func (c *Cluster) AddAgent(id string, local config.Addr) (*Agent, error) {
	if err := c.newAgent(id, nil, local); err != nil {
		return nil, err
	}
	a := c.Agents[len(c.Agents)-1]
	return a, c.configure(a)
}

func (c *Cluster) newAgent(id string, h *Host, local config.Addr) error {
	l := c.lab
	a := &Agent{
		ID: id, Host: h, Local: local, Dir: filepath.Join(l.Dir, id), program: c.opts.Program, conf: filepath.Join(l.Dir, id+".yaml"),
	}
	for _, port := range []struct {
		addr  *config.Addr
		usual int
	}{{&a.Sentinel, SentinelPort}, {&a.Peers, peersPort}, {&a.HTTP, httpPort}} {
		var err error
		if *port.addr, err = l.addr(h, c.opts.Loopback, port.usual); err != nil {
			return err
		}
	}
	if h != nil && !c.opts.OpenHTTP { // only what listens on loopback takes orders
		a.HTTP = config.NewAddr("127.0.0.1", httpPort)
	}
	a.Process = l.process(id, filepath.Join(l.Dir, id+".log"),
		h.On(a.program, "run", "--config", a.conf)...)
	c.Agents = append(c.Agents, a)
	return nil
}

// configure writes an agent's file.
func (c *Cluster) configure(a *Agent) error {
	listed := c.Agents
	if running := slices.DeleteFunc(slices.Clone(listed), func(b *Agent) bool { return b != a && !b.Running() }); len(running) > 1 {
		listed = running
	}
	tmpl := template.Must(template.New("picket.yaml").Parse(agentTemplate))
	var text bytes.Buffer
	err := tmpl.Execute(&text, map[string]any{
		"Agent": a, "Agents": listed, "Master": c.known(c.Redis[0].Addr), "Name": MasterName,
		"Quorum": c.opts.Hosts/2 + 1, "Options": c.opts, "Secret": c.opts.secret(), "User": User, "PasswordFile": c.lab.PasswordFile(),
	})
	if err == nil {
		err = os.WriteFile(a.conf, text.Bytes(), 0o600)
	}
	if err != nil {
		return fmt.Errorf("configure %s: %w", a.ID, err)
	}
	return nil
}

// ClientPassword is everybody else's in servers whose agents have least privilege: who forgets to log in is refused. Other servers take any.
const ClientPassword = "wonderland"

// As whom agents log in to servers, if they have least privilege.
const (
	User     = "picket"
	Password = "sesame"
	// ACL is all that agents need of a Redis server, by the rules of its ACL: no keys, one channel, and what looks at a server, or changes whom it
	// follows, whether it takes writes, and who is connected.
	ACL = "resetkeys resetchannels &__sentinel__:hello -@all +ping +info +subscribe +replicaof +psync +failover " +
		"+config|get +config|set +config|rewrite +client|setname +client|kill +client|pause +client|unpause"
	// WatchingACL is what they need to watch only.
	WatchingACL = "resetkeys resetchannels &__sentinel__:hello -@all +ping +info +subscribe +config|get +client|setname"
)

// PasswordFile holds the password.
func (l *Lab) PasswordFile() string { return filepath.Join(l.Dir, "redis-password") }

// known is a server's address in the agents' files.
func (c *Cluster) known(server config.Addr) config.Addr {
	if c.opts.Named == "" || server != c.Redis[0].Addr {
		return server
	}
	return config.NewAddr(c.opts.Named, server.Port())
}

// Status asks an agent for its picture, on its own host.
func (a *Agent) Status(ctx context.Context) (picture.Picture, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(a.HTTP)+"/v1/status", nil)
	if err != nil {
		return picture.Picture{}, err
	}
	response, err := a.Host.client().Do(request)
	if err != nil {
		return picture.Picture{}, fmt.Errorf("status of %s: %w", a.ID, err)
	}
	defer response.Body.Close()
	var p picture.Picture
	if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
		return picture.Picture{}, fmt.Errorf("status of %s: %w", a.ID, err)
	}
	return p, nil
}

// Run has the program do something by the agent's configuration, on its host, and gives what it prints.
func (a *Agent) Run(ctx context.Context, args ...string) (string, error) {
	command := a.Host.On(append([]string{a.program}, append(args, "--config", a.conf)...)...)
	out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("picket %s on %s: %w\n%s", strings.Join(args, " "), a.ID, err, out)
	}
	return string(out), nil
}

// AwaitSettled waits until the topology is whole and quiet: every running agent names master, in the same epoch, under
// the same leader, without a failover going on, and every other running Redis follows it.
func (c *Cluster) AwaitSettled(limit time.Duration, master config.Addr) error {
	return Await(limit, "the cluster has settled on master "+string(master), func(ctx context.Context) error {
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return Replicated(ctx, c.Redis, master) })
		pictures := make([]picture.Picture, len(c.Agents))
		for i, a := range c.Agents {
			if a.Running() {
				group.Go(func() (err error) { pictures[i], err = a.Status(ctx); return err })
			}
		}
		if err := group.Wait(); err != nil {
			return err
		}
		return c.agree(pictures, master)
	})
}

// hollow says that a server was not seen since it was fed.
func hollow(r picture.Server) bool { return r.Last == nil || r.Last.Keys == 0 }

// agree compares what the running agents say.
func (c *Cluster) agree(pictures []picture.Picture, master config.Addr) error {
	first := picture.Picture{}
	for i, p := range pictures {
		if !c.Agents[i].Running() {
			continue
		}
		if len(p.Masters) == 0 { // there may be others behind it, whose names are greater
			return fmt.Errorf("%s knows no master", p.Agent)
		}
		switch m := p.Masters[0]; {
		case m.Server.Addr != c.known(master) || m.Server.State != "up":
			return fmt.Errorf("%s: master is %s (%s)", p.Agent, m.Server.Addr, m.Server.State)
		case m.Failover != nil:
			return fmt.Errorf("%s: failover %d is still running", p.Agent, m.Failover.ID)
		case len(m.Replicas) != len(c.Redis)-1:
			return fmt.Errorf("%s knows %d of %d replicas", p.Agent, len(m.Replicas), len(c.Redis)-1)
		case slices.ContainsFunc(append(m.Replicas, m.Server), hollow):
			return fmt.Errorf("%s has not seen yet what each server holds", p.Agent)
		case p.Leader == "":
			return fmt.Errorf("%s knows no leader", p.Agent)
		case first.Agent == "":
			first = p
		case p.Epoch != first.Epoch || p.Leader != first.Leader || m.Epoch != first.Masters[0].Epoch:
			return fmt.Errorf("%s is in epoch %d under %s, %s in epoch %d under %s",
				p.Agent, p.Epoch, p.Leader, first.Agent, first.Epoch, first.Leader)
		}
	}
	if first.Agent == "" {
		return errors.New("no agent runs")
	}
	return nil
}

// Leader gives the agent that leads, as a running agent sees it.
func (c *Cluster) Leader(ctx context.Context) (*Agent, error) {
	for _, a := range c.Agents {
		if !a.Running() {
			continue
		}
		p, err := a.Status(ctx)
		if err != nil {
			return nil, err
		}
		for _, other := range c.Agents {
			if other.ID == p.Leader {
				return other, nil
			}
		}
	}
	return nil, errors.New("no running agent knows a leader")
}

// Sentinels lists the agents' Sentinel ports.
func (c *Cluster) Sentinels() []string {
	var addrs []string
	for _, a := range c.Agents {
		addrs = append(addrs, string(a.Sentinel))
	}
	return addrs
}

// FailoverClient is an ordinary Sentinel-aware client of the cluster that never retries by itself.
func (c *Cluster) FailoverClient() *redis.Client {
	return redis.NewFailoverClient(FailoverOptions(nil, c.Sentinels()))
}

// Servers gives the cluster's Redis servers.
func (c *Cluster) Servers() []*Redis { return c.Redis }

// At gives the server with this address.
func (c *Cluster) At(addr config.Addr) *Redis {
	for _, r := range c.Redis {
		if r.Addr == addr {
			return r
		}
	}
	return nil
}
