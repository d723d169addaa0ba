// Package profiles finds the model of an application inference profile, with the
// control plane's GetInferenceProfile. The ARN of such a profile does not name its
// model. So without this package, its calls have no price, and it is not known what
// the model takes.
//
//	resolver := profiles.New(bedrock.NewFromConfig(cfg))
//	client := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) {
//		o.Resolve = resolver.Resolve
//	})
//
// Answers are kept for an hour, errors for a minute. If many callers ask for the same
// profile at the same time, the service is asked once. It needs the IAM action
// bedrock:GetInferenceProfile.
//
// It is a separate package, so that only programs that use it compile the control
// plane's client.
package profiles
