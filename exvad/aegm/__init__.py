"""AEGM (paper 3.2): captions → cleaned captions → explanation; the stages that fill the store."""
