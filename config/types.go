package config

import (
	"net"
	"strconv"
	"time"
)

// Addr is a server's address, "host:port" with a numeric port; IPv6 hosts stand in brackets. It is
// comparable, so that it can be a key. The zero value means "none".
type Addr string

// NewAddr joins host and port.
func NewAddr(host string, port int) Addr { return Addr(net.JoinHostPort(host, strconv.Itoa(port))) }

// Host is the part before the port, without brackets.
func (a Addr) Host() string {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return string(a)
	}
	return host
}

// Port is the numeric port, 0 when there is none.
func (a Addr) Port() int {
	_, port, _ := net.SplitHostPort(string(a))
	n, _ := strconv.Atoi(port)
	return n
}

// Config is a whole picket.yaml. Keys in the file are these names in kebab-case. What is tagged reload:"yes" counts as soon as the file is read again, with
// all that is below it; reload:"first" is what counts only until the agents know better; all else counts after a restart: see Renew.
type Config struct {
	Cluster  string    // names the group of agents; agents of another cluster are refused
	Agent    Agent     // this agent
	Agents   []Peer    // every agent of the cluster, this one included: the initial membership
	Listen   Listen    // where this agent listens
	Announce Announce  // how others reach it, where that differs
	Local    Addr      // the Redis beside this agent; empty: none (a witness)
	Mode     string    // active or shadow: whether the agents act, or only say what they would do
	Sentinel Door      // who may use the Sentinel port
	HTTP     HTTP      // who may use the HTTP port
	PeerTLS  TLS       // between agents; off when empty
	Masters  []Master  `reload:"yes"` // what is watched
	Webhooks []Webhook `reload:"yes"` // where failover events go
	OnStop   string    `reload:"yes"` // nothing or switchover: what an agent does for the master beside it before it stops
	Fence    Fence     `reload:"yes"` // what to do to the local Redis when it must stop taking writes and can't be told so
	Hooks    Hooks     `reload:"yes"` // programs that are asked before something is done
	Scripts  Scripts   `reload:"yes"` // what clients of the Sentinel port may do to the masters' scripts
	Salvage  Salvage   `reload:"yes"` // what former masters had written and nobody else has
	Log      Log       `reload:"yes"`
	Tracing  Tracing   // of failovers
	// ConfigRewrite is none or sentinel: whether a sentinel.conf, where there is one, is kept as Redis Sentinel keeps it.
	ConfigRewrite string

	ResolveHostnames bool `reload:"yes"` // servers may be known by host names; off: by IP addresses only, as for Redis Sentinel

	warnings     []string // what Load noticed
	file         string   // see File
	sentinelConf string   // see SentinelConf
}

// File is the path of the file that was loaded; empty: none was.
func (c *Config) File() string { return c.file }

// Salvage is how much of what is lost is kept in files.
type Salvage struct {
	MaxBytes int // of all files; 0: nothing is kept
}

// Agent is this agent's identity.
type Agent struct {
	ID              string        // unique in the cluster
	Zone            string        // free text; a replica in the same zone as the old master is preferred on a tie
	DataDir         string        // log, snapshots, identity; must survive restarts
	ElectionTimeout time.Duration // a follower that hears no leader for one to two of these starts an election
}

// Peer is one agent as the others reach it.
type Peer struct {
	ID      string
	Address Addr // of its agents' port
}

// Listen holds the listening addresses. HTTP may be empty: no HTTP then. Of Sentinel and SentinelTLS, one may be.
type Listen struct {
	Sentinel    Addr     // default 0.0.0.0:26379
	SentinelTLS Addr     // default none
	Also        []string // more hosts, on which clients are listened for as on Sentinel's; one that begins with a dash may be missing here
	MaxClients  int      `reload:"yes"` // of the Sentinel port, at a time
	Peers       Addr     // default 0.0.0.0:26380
	HTTP        Addr     // default 127.0.0.1:26381
}

// SentinelPort is the port that clients are told.
func (l Listen) SentinelPort() int {
	if l.Sentinel == "" {
		return l.SentinelTLS.Port()
	}
	return l.Sentinel.Port()
}

// Announce is what clients and other agents are told, behind NAT or in containers.
type Announce struct {
	Host         string // default: the host of this agent's address in Agents
	SentinelPort int    // default: that of Listen
	Hostnames    bool   `reload:"yes"` // whether servers and agents that are known by names are told by them, or by their IP addresses
}

// Door guards the Sentinel port.
type Door struct {
	Password     Secret   `reload:"yes"` // of the default user
	PasswordFile string   `reload:"yes"`
	Users        []Secret `reload:"yes"` // each the rest of a line of a file of Redis's ACL users: "alice on >secret +@all"
	ACLFile      string   // such a file, with all users, that ACL LOAD and ACL SAVE work on; empty: none
	TLS          DoorTLS
}

// HTTP guards the HTTP port.
type HTTP struct {
	TLS        DoorTLS // with a certificate, the port is HTTPS
	ClientRole string  `reload:"yes"` // read, operate or admin: of whoever shows a certificate that TLS.CA signs
	Anonymous  string  `reload:"yes"` // local, read or none: who may read without a token and a certificate
	Tokens     []Token `reload:"yes"`
}

// Token lets whoever bears it do something over HTTP.
type Token struct {
	Name      string // for events and logs
	Token     Secret
	TokenFile string // that holds it; it is read again when it changes
	Role      string // read, operate or admin
}

// Roles over HTTP, each of which may do what those before it may.
const (
	RoleRead    = "read"    // look
	RoleOperate = "operate" // pause, hand over, fail over
	RoleAdmin   = "admin"   // change who the agents are, and the replicated map
)

// Words of HTTP.Anonymous.
const (
	AnonymousLocal = "local" // programs on the agent's host
	AnonymousRead  = "read"  // everybody who reaches the port
	AnonymousNone  = "none"  // nobody
)

// DoorTLS names the files of a port with TLS.
type DoorTLS struct {
	Cert, Key   string // PEM of this side
	CA          string // PEM bundle that signs clients
	AuthClients string // yes, no or optional: whether a client must show a certificate
}

// Words of DoorTLS.AuthClients.
const (
	AuthClientsYes      = "yes"
	AuthClientsNo       = "no"
	AuthClientsOptional = "optional" // one that is shown must be right
)

// TLS names the files of one TLS identity. Empty: no TLS.
type TLS struct {
	Enabled    bool
	CA         string // PEM bundle that signs the other side; empty: the system's
	Cert, Key  string // PEM of this side
	ServerName string // expected name of the other side; empty: the host that is dialled
}

// Master is one watched master and its replicas.
type Master struct {
	Name            string
	Address         Addr          `reload:"first"` // at the first start; afterwards the replicated state knows better
	KnownReplicas   []Addr        `reload:"first"` // at the first start, while the master can't be asked for them
	Quorum          int           // agents that must find it down
	DownAfter       time.Duration // without a valid answer for so long it is down
	CrashGrace      time.Duration // connections refused for so long it is down, long before DownAfter
	FailoverTimeout time.Duration // bounds each step of a failover
	ParallelSyncs   int           // replicas that may resync in full from the new master at once
	Cooldown        time.Duration // no automatic failover for so long after the last one
	Lease           time.Duration // of the master's sidecar; must stay below DownAfter
	LeaseLoss       string        // replicas, strict or off: when a master whose sidecar has lost its lease stops taking writes
	Durability      Durability
	Prefer          string // offset or priority: which replica is promoted, where Durability.Wait is 0
	PreferZone      string // a healthy master elsewhere is handed over to a replica in it
	PreferServer    Addr   // a healthy master is handed over to this one
	Switchover      string // pause or native: how a healthy master is handed over
	EmptyMaster     string // protect or accept: whether a master that comes back with less than its replicas is replaced by one
	// ForeignSentinels is refuse or ignore: whether nothing is done while another coordinator watches the master, too.
	ForeignSentinels string
	// NotificationScript and ClientReconfigScript are programs on this agent's host, run as Redis Sentinel does; empty: none.
	NotificationScript   string
	ClientReconfigScript string
	PreFailover          string // these take the place of those of Hooks; empty: they do not
	PreSwitchover        string
	RebootDownAfter      time.Duration // one that was restarted and loads its data for longer is down; 0: it is waited for
	RenameCommands       []Rename      // commands that the servers know under other names
	Username             string
	Password             Secret
	PasswordFile         string
	TLS                  TLS
}

// Rename is a command that redis.conf has renamed.
type Rename struct{ Command, As string }

// Words of Mode.
const (
	ModeActive = "active"
	ModeShadow = "shadow"
)

// Words of ConfigRewrite.
const (
	RewriteNone     = "none"     // it is left as it is
	RewriteSentinel = "sentinel" // it says what is known now
)

// Words of Hooks.OnFailure.
const (
	HookProceed = "proceed" // as if it had allowed it
	HookVeto    = "veto"    // as if it had forbidden it
)

// Words of a master's policies.
const (
	LeaseReplicas = "replicas" // it goes on as long as all its replicas prove that they follow it
	LeaseStrict   = "strict"   // it stops
	LeaseOff      = "off"      // there are no leases

	MissingWait    = "wait"          // for the replicas that are missing
	MissingPromote = "promote-after" // a while, what is there
	MissingNever   = "never"         // nobody, unless an operator says so

	PreferOffset   = "offset"   // who holds the most
	PreferPriority = "priority" // who has the lowest replica-priority, as Sentinel does

	SwitchoverPause  = "pause"  // its writers, for some milliseconds
	SwitchoverNative = "native" // by the server's own FAILOVER command

	StopNothing    = "nothing"    // the master goes on
	StopSwitchover = "switchover" // it is handed over: its Redis is about to be stopped, too

	EmptyProtect = "protect" // the replicas' data
	EmptyAccept  = "accept"  // the empty master: a cache

	ForeignRefuse = "refuse" // to act beside another coordinator
	ForeignIgnore = "ignore" // it
)

// Durability says which writes survive every failover.
type Durability struct {
	Wait            int           // those for which WAIT with this number returned at least it; 0: none in particular
	OnQuorumMissing string        // wait, promote-after or never: what happens when too few replicas can be asked
	PromoteAfter    time.Duration // of promote-after
}

// Fence is the last resort of a sidecar whose Redis must stop taking writes and does not answer.
type Fence struct {
	Kill    bool          // end its process, which must run on this host and be visible to the agent
	Command string        // run this program
	Timeout time.Duration // of the program
}

// Hooks are programs on this agent's host that may forbid what is about to be done; empty: none.
type Hooks struct {
	PreFailover   string        // before a failover begins
	PreSwitchover string        // before a healthy master is handed over
	Timeout       time.Duration // a program that runs for longer has failed
	OnFailure     string        // proceed or veto: what it means that a program has failed, rather than said no
}

// Scripts guards the programs that agents run.
type Scripts struct {
	DenyReconfig bool // SENTINEL SET may not change which programs are run
}

// Webhook is one receiver of failover events.
type Webhook struct {
	Name           string // unique; its delivery position is kept under this name
	URL            string `show:"no"` // it may hold a token
	URLFile        string // for one that is a secret
	Secret         Secret // whsec_… (Standard Webhooks)
	SecretFile     string
	SecretNext     Secret // signs as well, while one is replaced by the other
	SecretNextFile string
	Events         []string // types or prefixes ("failover.*"); empty: all
	Masters        []string // empty: all
	Timeout        time.Duration
	Ordering       string        // master, strict or none: what waits for an event that can't be delivered
	GiveUpAfter    time.Duration // an event that is older, and fails, becomes a dead letter
	Headers        []Header      // more of each request
	TLS            WebhookTLS
	Preset         string // cloudevents, slack, pagerduty or alertmanager: what the body is
	RoutingKey     Secret // of PagerDuty's integration
	RoutingKeyFile string
	Template       string `show:"no"` // of the body, in Go's text/template, instead of a preset's
	TemplateFile   string
	ContentType    string // of what the template gives
}

// Header is one that the requests of a webhook have besides. Its value is a secret: one of the three says it.
type Header struct {
	Name      string
	Value     Secret
	ValueFile string
	ValueEnv  string // the environment variable
}

// WebhookTLS names the files for the connections of a webhook.
type WebhookTLS struct {
	CA        string // PEM bundle that signs the receiver; empty: the system's
	Cert, Key string // PEM of this side
}

// Words of Webhook.Ordering.
const (
	OrderMaster = "master" // other events of the same master
	OrderStrict = "strict" // all others
	OrderNone   = "none"   // nothing
)

// Words of Webhook.Preset.
const (
	PresetCloudEvents  = "cloudevents"
	PresetSlack        = "slack"
	PresetPagerDuty    = "pagerduty"
	PresetAlertmanager = "alertmanager"
)

// Tracing says which OpenTelemetry collector is told of failovers.
type Tracing struct {
	Endpoint string   // a URL; empty: none is
	Headers  []Header // more of each request
}

// Log says how to log.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // console or json
}
