package picture

import (
	"crypto/sha1" //nolint:gosec // a name, not a secret: Sentinel's run ids are 40 hex digits
	"encoding/hex"
)

// MyID is an agent's run id in the Sentinel protocol: stable, and the same wherever it is computed.
func MyID(cluster, agent string) string {
	sum := sha1.Sum([]byte(cluster + "/" + agent)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}
