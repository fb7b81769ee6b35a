"""From a shop files to Examples in wire form, with Apache Beam."""
