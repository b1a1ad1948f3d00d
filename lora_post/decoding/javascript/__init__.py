"""JavaScript codecs of makers, run in QuickJS with limits."""
