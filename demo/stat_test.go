package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInRotation(t *testing.T) {
	for status, want := range map[string]bool{
		"UP": true, "UP 1/3": true, "no check": true,
		"DRAIN": false, "MAINT": false, "DOWN": false, "DOWN 1/2": false, "NOLB": false, "": false,
	} {
		require.Equal(t, want, inRotation(status), status)
	}
}
