// Package profiles finds the model behind an application inference profile, by
// the control plane's GetInferenceProfile. The ARN of such a profile says
// nothing of its model, so without this its calls have no price and nothing is
// known of what the model takes.
//
//	resolver := profiles.New(bedrock.NewFromConfig(cfg))
//	client := bedrockx.NewFromConfig(cfg, func(o *bedrockx.Options) {
//		o.Resolve = resolver.Resolve
//	})
//
// What was found is kept for an hour, an error for a minute; many callers who
// ask for the same profile at once ask the service once. It needs the IAM action
// bedrock:GetInferenceProfile.
//
// A package of its own, so that only who uses it compiles the control plane's
// client.
package profiles
