package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// library is a client library and the program that uses it. The program takes the master's name and the Sentinels' addresses, writes one
// key after the other, and prints `acked SECONDS KEY` for each acknowledged one.
type library struct {
	name    string
	version string
	command []string // runs the program
}

// offer is a library that may be installed.
type offer struct {
	name   string
	dir    string // of its program, where it is looked for
	tries  []try
	remedy string // where it is missing
}

// try is a way to run a library's program. The probe succeeds, and prints the library's version, where that way is open.
type try struct{ probe, command []string }

// offers lists all libraries. Programs that must be built are built into scratch.
func offers(programs, scratch string) []offer {
	golang := func(name, module string) offer {
		built := filepath.Join(scratch, "goclients")
		build := fmt.Sprintf(`go build -o "$0" . && go list -m -f {{.Version}} %s`, module)
		return offer{
			name: name, dir: filepath.Join(programs, "go"), remedy: "it needs Go, and its module",
			tries: []try{{probe: []string{"sh", "-c", build, built}, command: []string{built, name}}},
		}
	}
	script := func(name, file, remedy, interpreter string, probe ...string) offer {
		path := filepath.Join(programs, file)
		o := offer{name: name, dir: filepath.Dir(path), remedy: remedy}
		for _, at := range []string{"/usr/bin/" + interpreter, interpreter} { // Debian's packages belong to the first
			o.tries = append(o.tries, try{probe: append([]string{at}, probe...), command: []string{at, path}})
		}
		return o
	}
	node := func(name, module string) offer {
		version := fmt.Sprintf(`require("%[1]s"); console.log(JSON.parse(fs.readFileSync("node_modules/%[1]s/package.json")).version)`, module)
		return script(name, "node/"+name+".js", "with Node 20 or later: npm ci --prefix sentinel/clients/testdata/node", "node", "-e", version)
	}
	return []offer{
		golang("go-redis", "github.com/redis/go-redis/v9"),
		golang("go-redis-cluster", "github.com/redis/go-redis/v9"),
		golang("rueidis", "github.com/redis/rueidis"),
		script("redis-py", "redis-py.py", "apt-get install python3-redis", "python3", "-c", "import redis.sentinel; print(redis.__version__)"),
		script("ruby-redis", "ruby-redis.rb", "apt-get install ruby-redis", "ruby", "-rredis", "-e", "puts Redis::VERSION"),
		script("phpredis", "phpredis.php", "apt-get install php-redis php-cli", "php",
			"-r", `class_exists("RedisSentinel") or exit(1); echo phpversion("redis");`),
		script("perl-redis", "perl-redis.pl", "apt-get install libredis-perl", "perl", "-MRedis", "-e", "print Redis->VERSION"),
		node("ioredis", "ioredis"),
		node("node-redis", "redis"),
		script("redis-cli", "redis-cli.sh", "apt-get install redis-tools", "bash", "-c", "redis-cli --version"),
	}
}

// installed gives the libraries that are there, and says how to get the others.
func installed(ctx context.Context, programs, scratch string) (found []library, missing []string) {
	for _, o := range offers(programs, scratch) {
		if l, err := o.find(ctx); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%s): %v", o.name, o.remedy, err))
		} else {
			found = append(found, l)
		}
	}
	return found, missing
}

func (o offer) find(ctx context.Context) (library, error) {
	var errs []error
	for _, t := range o.tries {
		probe := exec.CommandContext(ctx, t.probe[0], t.probe[1:]...)
		probe.Dir = o.dir
		out, err := probe.Output()
		if err == nil {
			words := strings.Fields(string(out)) // the version is the last
			return library{name: o.name, version: strings.TrimPrefix(words[len(words)-1], "v"), command: t.command}, nil
		}
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		errs = append(errs, err)
	}
	return library{}, errors.Join(errs...)
}
