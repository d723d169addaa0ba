// Package app puts MangaAssist together: [Build] is the recipe, [Server.Handler] its
// routes, [Server.Serve] its life. The program beside it, the Lambda functions and
// the benchmarks use the same one.
//
//	server, err := app.Build(ctx, settings, logger)
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	return server.Serve(ctx, listener)
package app
