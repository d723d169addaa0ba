package bedrockx

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVersionIn(t *testing.T) {
	module := func(version string, replace *debug.Module) *debug.Module {
		return &debug.Module{Path: modulePath, Version: version, Replace: replace}
	}
	for name, tt := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"a dependency":              {debug.BuildInfo{Deps: []*debug.Module{{Path: "example.com/other", Version: "v9.0.0"}, module("v0.4.0", nil)}}, "0.4.0"},
		"the program itself":        {debug.BuildInfo{Main: *module("v0.4.0", nil)}, "0.4.0"},
		"a checkout":                {debug.BuildInfo{Main: *module("(devel)", nil)}, "devel"},
		"replaced by a folder":      {debug.BuildInfo{Deps: []*debug.Module{module("v0.4.0", &debug.Module{Path: "../bedrockkit"})}}, "devel"},
		"replaced by a fork":        {debug.BuildInfo{Deps: []*debug.Module{module("v0.4.0", &debug.Module{Path: "example.com/fork", Version: "v0.4.1"})}}, "0.4.1"},
		"a program without modules": {debug.BuildInfo{}, "devel"},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tt.want, versionIn(&tt.info)) })
	}
}
