"""From a decoder's result of any form to measurements."""
