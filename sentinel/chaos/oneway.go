package main

import (
	"context"
	"time"

	"picket/sentinel/lab"
)

// oneWay loses what the master's host is sent, then what it sends. A client on it never stops writing.
func oneWay(ctx context.Context, f *field) ([]figure, error) {
	outside, safe := f.writeAcross(f.clients(), gently), f.writeAcross(f.clients(), waiting)
	var figures []figure
	var inside []*lab.Writer
	master := f.servers[0]
	for _, way := range []struct {
		name  string
		fault func(master, other *lab.Host) error
	}{
		{"it is deaf", f.network.Deafen},
		{"it is mute", func(master, other *lab.Host) error { return f.network.Deafen(other, master) }},
	} {
		writer := f.cling(master, gently)
		inside = append(inside, writer)
		if err := f.warm(ctx, outside, safe, writer); err != nil {
			return figures, err
		}
		cut := time.Now()
		for _, h := range f.network.Hosts {
			if h != master.Host {
				if err := way.fault(master.Host, h); err != nil {
					return figures, err
				}
			}
		}
		lab.Pause(ctx, f.pace.cut)
		healed := time.Now()
		stale := 0
		if promoted := f.roles.since(cut); len(promoted) > 0 {
			stale = sentAfter(writer, promoted[0].at)
		}
		gap := longest(outside, cut, healed)
		if err := f.network.Heal(); err != nil {
			return figures, err
		}
		heir, settled, err := f.settle(healed)
		if err != nil {
			return figures, err
		}
		master = heir
		figures = append(figures,
			took(way.name+": the longest wait of the client outside", gap),
			count(way.name+": acknowledged by the old master after the promotion", stale).atMost(0),
			took(way.name+", and healed: one topology on which all agree", settled))
	}
	all, waited, err := f.account(ctx, master, append(inside, outside, safe)...)
	return append(figures,
		share("acknowledged writes lost", all.lost, all.acked),
		count("lost although a replica had acknowledged them (WAIT 1)", waited.lost).atMost(0)), err
}
