//go:build !unix

package main

import (
	"context"
	"fmt"
	"strings"
)

// beneath shows the legend first where there are no pseudo-terminals.
func beneath(ctx context.Context, p Process, environ, args, legend []string) error {
	_, _ = fmt.Fprintln(p.Stderr, strings.Join(legend, "\n"))
	return execute(ctx, p, environ, args)
}
