//go:build unix

package connections

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// filled makes a store of n connections without the cost of n durable writes.
func filled(b *testing.B, n int) *Store {
	b.Helper()
	s := testStore(b)
	mustAdd(b, s, "first")
	for i := range n - 1 {
		c := sample(fmt.Sprintf("connection-%05d", i))
		id, err := s.newID()
		if err != nil {
			b.Fatal(err)
		}
		c.ID, c.Schema, c.Created, c.Updated = id, SchemaVersion, testTime, testTime
		data, err := render(c.normalised(), nil)
		if err != nil {
			b.Fatal(err)
		}
		path := s.Path(c.Name)
		if err := os.WriteFile(path, data, fileMode); err != nil {
			b.Fatal(err)
		}
		old := testTime // long ago, as the index does not trust a file of this instant
		if err := os.Chtimes(path, old, old); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// cpuTime is what this process has used; unlike the wall time it does not
// depend on what else the machine is doing.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// BenchmarkList gives the cost of a List with its index (warm) and without (cold).
func BenchmarkList(b *testing.B) {
	for _, n := range []int{10, 200, 500, 10000} {
		s := filled(b, n)
		list := func(b *testing.B) {
			b.Helper()
			if entries, err := s.List(b.Context()); err != nil || len(entries) != n {
				b.Fatalf("%d entries, %v", len(entries), err)
			}
		}
		b.Run(fmt.Sprintf("warm/%d", n), func(b *testing.B) {
			list(b)
			b.ReportAllocs()
			cpu := cpuTime(b)
			for b.Loop() {
				list(b)
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
		})
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			cpu := cpuTime(b)
			for b.Loop() {
				b.StopTimer()
				_ = os.Remove(filepath.Join(s.connections, indexName))
				b.StartTimer()
				list(b)
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkAdd gives the cost of saving one connection beside n others.
func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{10, 10000} {
		s := filled(b, n)
		if _, err := s.List(b.Context()); err != nil {
			b.Fatal(err)
		}
		i := 0
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cpu := cpuTime(b)
			for b.Loop() {
				i++
				if _, err := s.Add(b.Context(), sample(fmt.Sprintf("new-%d", i))); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkAddTarget gives the cost of the one kind that looks at its neighbours.
func BenchmarkAddTarget(b *testing.B) {
	for _, n := range []int{10, 10000} {
		s := filled(b, n)
		if _, err := s.List(b.Context()); err != nil {
			b.Fatal(err)
		}
		i := 0
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				i++
				if _, err := s.Add(b.Context(), target(fmt.Sprintf("new-%d", i), fmt.Sprintf("m%d@contoso.com", i))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkGet gives the cost of a connection by name and by id, beside 10,000 others.
func BenchmarkGet(b *testing.B) {
	s := filled(b, 10000)
	c, err := s.Get(b.Context(), "first")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.List(b.Context()); err != nil {
		b.Fatal(err)
	}
	for _, key := range []string{c.Name, c.ID} {
		b.Run(map[bool]string{true: "name", false: "id"}[key == c.Name], func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Get(b.Context(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFirstList gives the cost of the one List of a fresh process, without
// its start: the least of all runs, which other load disturbs least.
func BenchmarkFirstList(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{200, 500, 10000} {
		s := filled(b, n)
		if _, err := s.List(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			least := int64(0)
			for b.Loop() {
				cmd := exec.CommandContext(b.Context(), self)
				cmd.Env = append(os.Environ(), childEnv+"=time list", childDir+"="+s.Dir())
				out, err := cmd.CombinedOutput()
				if err != nil {
					b.Fatal(err)
				}
				ns, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
				if err != nil {
					b.Fatal(err)
				}
				if least == 0 || ns < least {
					least = ns
				}
			}
			b.ReportMetric(float64(least)/1000, "least-µs")
		})
	}
}
