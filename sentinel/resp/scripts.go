package resp

import (
	"context"
	"strconv"
)

// showScripts lists the programs that run or wait to be run. Its numbers are texts, as Sentinel's are.
func showScripts(_ context.Context, c *client, _ []string) {
	pending := c.server.cfg.Backend.Scripts()
	c.reply.array(len(pending))
	for _, p := range pending {
		flags, since := "scheduled", "run-delay"
		if p.Running {
			flags, since = "running", "run-time"
		}
		c.reply.mapping(5)
		c.reply.bulk("argv")
		c.reply.bulks(p.Argv)
		for _, f := range (fields{
			{"flags", flags}, {"pid", strconv.Itoa(p.PID)}, {since, strconv.FormatInt(p.For.Milliseconds(), 10)}, {"retry-num", strconv.Itoa(p.Attempts)},
		}) {
			c.reply.bulk(f.name)
			c.reply.bulk(f.value)
		}
	}
}

// countScripts counts those that run, and all.
func (s *Server) countScripts() (running, all int) {
	pending := s.cfg.Backend.Scripts()
	for _, p := range pending {
		if p.Running {
			running++
		}
	}
	return running, len(pending)
}
