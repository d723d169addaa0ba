package bedrockx

import (
	"runtime/debug"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
)

const modulePath = "github.com/mangaassist/bedrockkit"

// addUserAgent lets the service, its logs and a proxy between see the version of
// this module: bedrockkit/0.4.0. A client without a user agent gets none.
func addUserAgent(stack *middleware.Stack) {
	if m, ok := stack.Build.Get("UserAgent"); ok {
		if agent, ok := m.(*awsmiddleware.RequestUserAgent); ok {
			agent.AddUserAgentKeyValue("bedrockkit", moduleVersion())
		}
	}
}

// moduleVersion is the version that the program was built with, "devel" for a
// checkout.
var moduleVersion = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	return versionIn(info)
})

func versionIn(info *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path != modulePath {
			continue
		}
		if m.Replace != nil && m.Replace.Version != "" {
			m = m.Replace
		}
		if version := strings.TrimPrefix(m.Version, "v"); version != "" && version != "(devel)" && m.Replace == nil {
			return version
		}
	}
	return "devel"
}
