package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the expected messages of testdata/bad anew")

func TestMain(m *testing.M) {
	flag.Parse()
	for _, v := range os.Environ() { // of whoever runs the tests
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PICKET_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// TestLoad_BadFiles loads each file of testdata/bad and compares the error with the .txt of the same name.
func TestLoad_BadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".txt" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file, nil)
			var bad *Error
			if !errors.As(err, &bad) {
				t.Fatalf("error %v, want an *Error", err)
			}
			got, golden := bad.Error()+"\n", file+".txt"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// good is what testdata/good says, in three formats.
var good = Config{
	Cluster:  "main",
	Agent:    Agent{ID: "a1", Zone: "west", DataDir: "/data/picket", ElectionTimeout: 500 * time.Millisecond},
	Agents:   []Peer{{"a1", "10.0.0.1:26380"}, {"a2", "host-2:26380"}, {"a3", "[fd00::3]:26380"}},
	Listen:   Listen{Sentinel: "10.0.0.1:26379", Also: []string{"127.0.0.1", "-::1"}, MaxClients: 77, Peers: "10.0.0.1:26380"},
	Announce: Announce{Host: "a1.example.com", SentinelPort: 36379, Hostnames: false},
	Local:    "10.0.0.1:6379",
	Mode:     ModeShadow,
	Sentinel: Door{Password: "one", Users: []Secret{"alice on >hunter2 +@all", "bob off"}, TLS: DoorTLS{AuthClients: AuthClientsOptional}},
	HTTP: HTTP{TLS: DoorTLS{AuthClients: AuthClientsNo}, ClientRole: RoleOperate, Anonymous: AnonymousNone, Tokens: []Token{
		{Name: "ops", Token: "hunter2hunter2hunter2", TokenFile: "testdata/files/token", Role: RoleAdmin}, {Name: "grafana", Token: "another2hunter2hunter2", Role: RoleRead},
	}},
	Masters: []Master{
		{
			Name: "mymaster", Address: "10.0.0.1:6379", KnownReplicas: []Addr{"10.0.0.3:6379"}, Quorum: 3, DownAfter: 2 * time.Second, CrashGrace: 100 * time.Millisecond,
			FailoverTimeout: time.Minute, ParallelSyncs: 2, Lease: time.Second, Username: "picket",
			Password: "hunter2", PasswordFile: "testdata/files/secret", LeaseLoss: LeaseStrict, Prefer: PreferOffset,
			Durability: Durability{1, MissingPromote, 10 * time.Second}, Switchover: SwitchoverNative, PreferZone: "west", EmptyMaster: EmptyAccept,
			ForeignSentinels: ForeignIgnore, NotificationScript: "testdata/files/notify", ClientReconfigScript: "./testdata/files/notify",
			PreFailover: "testdata/files/notify", PreSwitchover: "./testdata/files/notify",
			RebootDownAfter: 20 * time.Second, RenameCommands: []Rename{{"CONFIG", "cfg"}},
		},
		{
			Name: "other", Address: "10.0.0.2:6379", Quorum: 2, DownAfter: 500 * time.Millisecond, CrashGrace: 30 * time.Millisecond,
			FailoverTimeout: 10 * time.Second, ParallelSyncs: 1, Cooldown: 10 * time.Second, Lease: 300 * time.Millisecond,
			LeaseLoss: LeaseReplicas, Durability: Durability{0, MissingWait, time.Minute}, Prefer: PreferOffset, Switchover: SwitchoverPause, EmptyMaster: EmptyProtect,
			ForeignSentinels: ForeignRefuse,
		},
	},
	Webhooks: []Webhook{{
		Name: "ops", URL: "https://ops.example.com/hook", Secret: "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5",
		Events: []string{"failover.*", "agent.registered"}, Masters: []string{"mymaster"}, Timeout: 5 * time.Second,
		SecretNext: "whsec_bm90IGEgc2VjcmV0OiByZXBsYWNlIHRoaXMga2V5", Ordering: OrderStrict, GiveUpAfter: 2 * time.Hour,
		Headers: []Header{{Name: "X-Team", Value: "redis"}, {Name: "X-Api-Key", Value: "hunter2", ValueFile: "testdata/files/secret"}},
		TLS:     WebhookTLS{}, Preset: PresetCloudEvents, Template: "{{json .Summary}}", TemplateFile: "testdata/files/template", ContentType: "text/json",
	}, {
		Name: "pager", URL: "https://events.pagerduty.com/v2/enqueue", Timeout: 10 * time.Second, Ordering: OrderMaster, GiveUpAfter: 6 * time.Hour,
		Preset: PresetPagerDuty, RoutingKey: "hunter2", RoutingKeyFile: "testdata/files/secret", ContentType: "application/json",
	}},
	OnStop: StopSwitchover,
	Fence:  Fence{true, "/usr/local/bin/fence-redis", 2 * time.Second}, Salvage: Salvage{1 << 20},
	Hooks:   Hooks{"testdata/files/notify", "./testdata/files/notify", 500 * time.Millisecond, HookVeto},
	Tracing: Tracing{"https://collector.example.com:4318", []Header{{Name: "X-Key", Value: "hunter2", ValueFile: "testdata/files/secret"}}},
	Log:     Log{Level: "debug", Format: "json"}, ConfigRewrite: RewriteNone,
}

func TestLoad_FormatsMeanTheSame(t *testing.T) {
	for _, format := range []string{"yaml", "toml", "json"} {
		got, err := Load("testdata/good/all."+format, nil)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		if want, _ := filepath.Abs("testdata/good/all." + format); got.File() != want {
			t.Errorf("it is %s, want %s", got.File(), want)
		}
		got.warnings, got.file = nil, ""
		if !reflect.DeepEqual(*got, good) {
			t.Errorf("%s:\n%+v\nwant\n%+v", format, *got, good)
		}
	}
}

// write makes a configuration's file.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// least is the least that a file must say.
const least = `
cluster: main
agent: {id: a1}
agents: [{id: a1, address: "10.0.0.1:26380"}]
masters: [{name: mymaster, address: "10.0.0.1:6379"}]
`

func parsedFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	flags.String("config", "", "not one of ours")
	RegisterFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestLoad_FlagsWinOverEnvironmentOverFileOverDefaults(t *testing.T) {
	file := write(t, "picket.yaml", least+"log: {level: warn}\n")
	for _, tc := range []struct{ name, file, env, flag, want string }{
		{"default", write(t, "picket.yaml", least), "", "", "info"},
		{"file", file, "", "", "warn"},
		{"environment", file, "error", "", "error"},
		{"flag", file, "error", "--log-level=debug", "debug"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("PICKET_LOG_LEVEL", tc.env)
			c, err := Load(tc.file, parsedFlags(t, strings.Fields(tc.flag)...))
			if err != nil {
				t.Fatal(err)
			}
			if c.Log.Level != tc.want {
				t.Errorf("log.level is %s, want %s", c.Log.Level, tc.want)
			}
		})
	}
}

func TestLoad_EveryKeyOutsideOfListsHasAVariable(t *testing.T) {
	pair := keyPair(t)
	pair.CA = pair.Cert
	for name, value := range map[string]string{
		"CLUSTER": "c", "AGENT_ID": "a1", "AGENT_ZONE": "z", "AGENT_DATA_DIR": "/d", "AGENT_ELECTION_TIMEOUT": "1s",
		"LISTEN_SENTINEL": "10.0.0.1:1", "LISTEN_SENTINEL_TLS": "10.0.0.1:6", "LISTEN_PEERS": "10.0.0.1:2", "LISTEN_HTTP": "10.0.0.1:3",
		"ANNOUNCE_HOST": "h", "ANNOUNCE_SENTINEL_PORT": "4", "LOCAL": "10.0.0.1:5", "SENTINEL_PASSWORD": "",
		"SENTINEL_PASSWORD_FILE": "testdata/files/secret", "PEER_TLS_ENABLED": "true", "PEER_TLS_CA": pair.CA,
		"PEER_TLS_CERT": pair.Cert, "PEER_TLS_KEY": pair.Key, "PEER_TLS_SERVER_NAME": "s", "LOG_LEVEL": "debug", "LOG_FORMAT": "json",
		"ON_STOP": "switchover", "FENCE_KILL": "true", "FENCE_COMMAND": "/f", "FENCE_TIMEOUT": "1s", "HOOKS_PRE_FAILOVER": "testdata/files/notify", "HOOKS_PRE_SWITCHOVER": "./testdata/files/notify", "HOOKS_TIMEOUT": "2s", "TRACING_ENDPOINT": "http://t", "HOOKS_ON_FAILURE": "veto", "MODE": "shadow", "SALVAGE_MAX_BYTES": "7",
		"SCRIPTS_DENY_RECONFIG": "false", "SENTINEL_ACL_FILE": "testdata/files/users.acl", "SENTINEL_TLS_CERT": pair.Cert, "SENTINEL_TLS_KEY": pair.Key,
		"SENTINEL_TLS_CA": pair.CA, "SENTINEL_TLS_AUTH_CLIENTS": "no", "ANNOUNCE_HOSTNAMES": "false", "RESOLVE_HOSTNAMES": "false",
		"HTTP_TLS_CERT": pair.Cert, "HTTP_TLS_KEY": pair.Key, "HTTP_TLS_CA": pair.CA, "HTTP_TLS_AUTH_CLIENTS": "yes", "HTTP_CLIENT_ROLE": "admin", "HTTP_ANONYMOUS": "read",
		"LISTEN_MAX_CLIENTS": "9", "CONFIG_REWRITE": "none",
	} {
		t.Setenv("PICKET_"+name, value)
	}
	// Only the lists are left to the file.
	lists := least[strings.Index(least, "agents:"):]
	c, err := Load(write(t, "picket.yaml", lists), nil)
	if err != nil {
		t.Fatal(err)
	}
	pair.Enabled, pair.ServerName = true, "s"
	want := Config{
		Cluster: "c", Agent: Agent{ID: "a1", Zone: "z", DataDir: "/d", ElectionTimeout: time.Second}, Agents: c.Agents, Masters: c.Masters,
		Listen: Listen{"10.0.0.1:1", "10.0.0.1:6", nil, 9, "10.0.0.1:2", "10.0.0.1:3"}, Announce: Announce{"h", 4, false}, Local: "10.0.0.1:5", Mode: ModeShadow,
		Sentinel: Door{"hunter2", "testdata/files/secret", nil, "testdata/files/users.acl", DoorTLS{pair.Cert, pair.Key, pair.CA, AuthClientsNo}}, PeerTLS: pair, Log: Log{"debug", "json"},
		HTTP:   HTTP{DoorTLS{pair.Cert, pair.Key, pair.CA, AuthClientsYes}, RoleAdmin, AnonymousRead, nil},
		OnStop: StopSwitchover, Fence: Fence{true, "/f", time.Second}, Salvage: Salvage{7}, Tracing: Tracing{"http://t", nil}, Hooks: Hooks{"testdata/files/notify", "./testdata/files/notify", 2 * time.Second, HookVeto}, ConfigRewrite: RewriteNone,
	}
	c.warnings, c.file = nil, ""
	if !reflect.DeepEqual(*c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *c, want)
	}
	zero := []string{"sentinel.password", "scripts.deny-reconfig", "announce.hostnames", "resolve-hostnames"} // in a file, or true by default
	scalars("", reflect.ValueOf(*c), func(key string, v reflect.Value) {
		if !slices.Contains(zero, key) && v.Interface() == reflect.Zero(v.Type()).Interface() {
			t.Errorf("%s was not tried", key)
		}
	})
}

func TestLoad_FlagsAreOfKnownKeys(t *testing.T) {
	known := map[string]bool{}
	scalars("", reflect.ValueOf(Default()), func(key string, _ reflect.Value) { known[key] = true })
	for _, f := range flagged {
		if !known[f.key] {
			t.Errorf("flag %s sets an unknown key %s", f.flag, f.key)
		}
	}
}

func TestLoad_ErrorsNameWhatSetTheValue(t *testing.T) {
	file := write(t, "picket.yaml", least+"listen: 7\n")
	t.Setenv("PICKET_LOG_LEVEL", "loud")
	t.Setenv("PICKET_LISTEN_HTTP", "nowhere") // under something that is wrong in the file
	t.Setenv("PICKET_ANNOUNCE_SENTINEL_PORT", "many")
	t.Setenv("PICKET_PEER_TLS_ENABLED", "perhaps")
	_, err := Load(file, parsedFlags(t, "--local=here"))
	for _, want := range []string{
		`PICKET_LOG_LEVEL: log.level: got "loud": is not one of`, file + ":6: listen: is a number, not a group",
		`PICKET_ANNOUNCE_SENTINEL_PORT: announce.sentinel-port: got "many": is not a whole number`,
		`PICKET_PEER_TLS_ENABLED: peer-tls.enabled: got "perhaps": is neither`, `--local: local: got "here": is not HOST:PORT`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
}

// TestLoad_Bounds takes as much as there may be, and no more. The file of users may be as large as the port takes it.
func TestLoad_Bounds(t *testing.T) {
	list := func(element string) func(int) string {
		return func(n int) string {
			var all []string
			for i := range n {
				all = append(all, strings.ReplaceAll(element, "N", strconv.Itoa(i)))
			}
			return "[" + strings.Join(all, ", ") + "]"
		}
	}
	for name, tc := range map[string]struct {
		most  int
		value func(n int) string
		text  string // with a value in it
		want  string
	}{
		"users": {MaxACLFile, func(n int) string { return write(t, "users.acl", strings.Repeat("\n", n)) }, "sentinel: {acl-file: %s}", "is larger than 4096 KiB"},
		"template": {
			maxTemplate, func(n int) string { return strings.Repeat("x", n) }, "webhooks: [{name: a, url: 'https://a', template: %s}]", "is larger than 64 KiB",
		},
		"tokens":   {maxTokens, list("{name: tN, token: hunter2hunter2hunterN}"), "http: {tokens: %s}", "are more than 100"},
		"webhooks": {maxWebhooks, list("{name: wN, url: 'https://a', preset: slack}"), "webhooks: %s", "lists 101, and there may be 100"},
	} {
		for n, valid := range map[int]bool{tc.most: true, tc.most + 1: false} {
			_, err := Load(write(t, "picket.yaml", least+fmt.Sprintf(tc.text, tc.value(n))+"\n"), nil)
			if (err == nil) != valid || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %d: %v", name, n, err)
			}
		}
	}
}

func TestLoad_FilesThatCannotBeRead(t *testing.T) {
	large := write(t, "large.yaml", least+strings.Repeat("#", maxFile))
	for name, tc := range map[string]struct{ file, want string }{
		"missing":   {"testdata/nowhere.yaml", "there is no such file; `picket config example`"},
		"directory": {"testdata", "is a directory"},
		"large":     {large, "is larger than 1024 KiB"},
	} {
		_, err := Load(tc.file, nil)
		var bad *Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), tc.file+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoad_DerivedDefaults(t *testing.T) {
	agents := ""
	for n := 1; n <= 5; n++ {
		agents += strings.ReplaceAll(`{id: aN, address: "10.0.0.N:26380"},`, "N", string(rune('0'+n)))
		text := "cluster: main\nagent: {id: a1}\nagents: [" + agents + "]\n" +
			`masters: [{name: m, address: "10.0.0.1:1", down-after: 200ms}, {name: n, address: "10.0.0.1:2", down-after: 9s}]`
		c, err := Load(write(t, "picket.yaml", text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := n/2 + 1; c.Masters[0].Quorum != want {
			t.Errorf("quorum of %d agents: %d, want %d", n, c.Masters[0].Quorum, want)
		}
		if c.Masters[0].Lease != 120*time.Millisecond || c.Masters[1].Lease != 300*time.Millisecond {
			t.Errorf("leases are %v and %v", c.Masters[0].Lease, c.Masters[1].Lease)
		}
		warned := strings.Contains(strings.Join(c.Warnings(), "\n"), "agents:")
		if want := n == 1 || n%2 == 0; warned != want {
			t.Errorf("%d agents: warnings %q", n, c.Warnings())
		}
	}
	pair := keyPair(t)
	c, err := Load(write(t, "picket.yaml", least+fmt.Sprintf("http: {tls: {cert: %s, key: %s, ca: %[1]s}}\n", pair.Cert, pair.Key)), nil)
	if err != nil || c.HTTP.TLS.AuthClients != AuthClientsOptional {
		t.Errorf("with authorities of clients: %+v, %v", c, err)
	}
}

func TestLoad_WarnsOfSecretsThatEverybodyMayRead(t *testing.T) {
	secret := write(t, "secret", "s")
	file := write(t, "picket.yaml", least+"sentinel: {password-file: "+secret+"}\n")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(c.Warnings(), "\n"), secret); got != want {
			t.Errorf("mode %v: warnings %q", mode, c.Warnings())
		}
	}
}

func TestLoad_WarnsOfTheDefaultUser(t *testing.T) {
	for door, want := range map[string]string{
		"{users: [alice on nopass]}":                             "who gives no name and no password may do everything",
		"{users: [alice on nopass, default off]}":                "",
		"{users: [alice on nopass], password: x}":                "",
		"{users: [alice on nopass, default on >y], password: x}": "sentinel.users[1] says what the user default needs",
		"{password: x}": "",
	} {
		c, err := Load(write(t, "picket.yaml", least+"sentinel: "+door+"\n"), nil)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.warnings, "\n")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", door, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("yaml", []byte(least))
	f.Add("yaml", Example())
	for _, pattern := range []string{"testdata/good/*", "testdata/bad/*"} {
		files, _ := filepath.Glob(pattern) // the pattern is valid
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(strings.TrimPrefix(filepath.Ext(file), "."), data)
		}
	}
	f.Fuzz(func(t *testing.T, format string, data []byte) {
		r := newReport("picket." + format)
		tree := r.parse(format, data)
		if r.err() != nil {
			return
		}
		c, err := r.load(tree, nil)
		if (c == nil) == (err == nil) {
			t.Errorf("%v, %v: want a configuration or an error", c, err)
		}
		if err != nil && err.Error() == "" {
			t.Error("an error says nothing")
		}
	})
}
