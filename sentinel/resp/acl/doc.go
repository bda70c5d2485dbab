// Package acl says which user may do what on the Sentinel port: Redis's access control lists, as far as a Sentinel has a use for them.
//
// A user has passwords, of which only the SHA-256 sums are kept, and rules for commands and channels. Rules for keys are kept and shown, since
// there are files that hold them, but a Sentinel has no keys; selectors, which are about keys, are refused. The package promises Redis's
// language and its words for what is wrong, that a change of a user is made whole or not at all, that passwords take the same time to compare
// whatever was guessed, and that nothing grows beyond its bounds. It is pure: no lock, clock or file; whoever calls it has those.
package acl
