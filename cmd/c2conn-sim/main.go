// Command c2conn-sim is a simulated Microsoft 365 tenant as a program: for
// demonstrations, for tests of c2conn and for clients that nobody here wrote.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(Main(context.Background(), Process{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()}))
}
