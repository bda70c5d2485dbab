package monitor

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"picket/config"
)

// helloChannel is where Redis Sentinels tell each other, by way of every server that they watch, who they are. Picket's agents say
// nothing there: whoever does is another coordinator.
const helloChannel = "__sentinel__:hello"

// HelloPeriod is how often a Sentinel says so.
const HelloPeriod = 2 * time.Second

// helloExpiry is how long a coordinator counts after its last word.
const helloExpiry = 3 * HelloPeriod

// maxHello bounds a message: run id, two hosts, a name and four numbers.
const maxHello = 1024

// Foreign is a coordinator that is none of our agents, as it told of itself. Nothing vouches for what it says.
type Foreign struct {
	RunID  string
	Addr   config.Addr   // of its port
	Name   string        // under which it watches the master
	Master config.Addr   // that it takes for the master
	Epoch  uint64        // of that master's last failover
	Server config.Addr   // on which it was heard
	Age    time.Duration // of its last word
}

var errHello = errors.New("not the hello of a Sentinel")

// parseHello reads "ip,port,run id,epoch,name,master's ip,master's port,master's epoch". What it gives is safe to be shown.
func parseHello(server config.Addr, message string) (Foreign, error) {
	if len(message) > maxHello {
		return Foreign{}, errHello
	}
	fields := strings.Split(message, ",")
	if len(fields) != 8 {
		return Foreign{}, errHello
	}
	f := Foreign{
		RunID: fields[2], Addr: spoken(fields[0], fields[1]), Name: fields[4], Master: spoken(fields[5], fields[6]), Server: server,
	}
	var err error
	if f.Epoch, err = strconv.ParseUint(fields[7], 10, 63); err != nil {
		return Foreign{}, errHello
	}
	if _, err = strconv.ParseUint(fields[3], 10, 63); err != nil || !f.plausible() {
		return Foreign{}, errHello
	}
	return f, nil
}

// spoken is an address as a message writes it; empty: it is none.
func spoken(host, port string) config.Addr {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !plain(host, ":%") {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	}
	return config.NewAddr(host, int(n))
}

// plausible says whether it may be the word of a Sentinel: nothing is empty, long, or not fit to be shown.
func (f Foreign) plausible() bool {
	return len(f.RunID) == 40 && strings.Trim(f.RunID, "0123456789abcdef") == "" && plain(f.Name, "") &&
		plain(string(f.Addr), ":%[]") && plain(string(f.Master), ":%[]") && plain(string(f.Server), ":%[]") && f.Age >= 0
}

// plain says whether text consists of letters, digits, dots, dashes, underscores and the others, and is neither empty nor long.
func plain(text, others string) bool {
	const most = 280 // a host name of 255, brackets and a port
	if text == "" || len(text) > most {
		return false
	}
	for _, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.Contains("-._"+others, string(rune(c))) {
			return false
		}
	}
	return true
}
