// Command goclients writes one key after the other through the Sentinel support of a Go library, and prints each acknowledged one
// with its time.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// set writes one key.
type set func(ctx context.Context, key string) error

// libraries make clients of a master that Sentinels know.
var libraries = map[string]func(name string, addresses []string) (set, error){
	"go-redis": func(name string, addresses []string) (set, error) {
		c := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: name, SentinelAddrs: addresses})
		return func(ctx context.Context, key string) error { return c.Set(ctx, key, "", 0).Err() }, nil
	},
	"go-redis-cluster": func(name string, addresses []string) (set, error) {
		c := redis.NewFailoverClusterClient(&redis.FailoverOptions{MasterName: name, SentinelAddrs: addresses, RouteRandomly: true})
		return func(ctx context.Context, key string) error { return c.Set(ctx, key, "", 0).Err() }, nil
	},
	"rueidis": func(name string, addresses []string) (set, error) {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addresses, Sentinel: rueidis.SentinelOption{MasterSet: name}})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, key string) error {
			return c.Do(ctx, c.B().Set().Key(key).Value("").Build()).Error()
		}, nil
	},
}

func main() {
	library := os.Args[1]
	write, err := libraries[library](os.Args[2], os.Args[3:])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for n := 0; ; n++ {
		key := fmt.Sprintf("%s:%d", library, n)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := write(ctx, key); err != nil {
			fmt.Println(err)
		} else {
			fmt.Printf("acked %.6f %s\n", float64(time.Now().UnixMicro())/1e6, key)
		}
		cancel()
		time.Sleep(10 * time.Millisecond)
	}
}
