//go:build race

package registration

// stride is the distance of the points that everyPoint tries.
const stride = 7
