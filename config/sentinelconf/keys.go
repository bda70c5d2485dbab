package sentinelconf

// setKnown gives a key a value where this version's configuration has the key: users and TLS of the Sentinel port, and what concerns host names, came
// later than the rest. Where it has not, a value that does no harm is dropped, and any other is refused rather than lost.
func (b *builder) setKnown(d directive, key string, value any, harmless bool) {
	switch {
	case b.known(key):
		b.set(d, key, value)
	case !harmless:
		b.refuse(d, "", "this version of Picket can't do that", "take the line away if you can do without it")
	}
}
